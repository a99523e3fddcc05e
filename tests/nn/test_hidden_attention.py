import pytest
import torch
from backbone_cases import mamba

from bench.nn.hidden_attention import hidden_attention, hidden_attention_row
from bench.nn.intervene import HIDDEN_ATTENTION, intervene, mamba_mixers, tensors
from bench.nn.mamba import MambaMixer
from bench.nn.scan import selective_scan


@pytest.fixture
def mixer():
    torch.manual_seed(0)
    return MambaMixer(12, d_state=5)


@pytest.mark.parametrize("with_resets", [False, True])
def test_attention_times_input_is_the_scan_without_skip_and_gate(mixer, with_resets):
    tokens = torch.randn(3, 40, 12)
    resets = torch.rand(3, 40) < 0.15 if with_resets else None
    given = mixer.scan_inputs(tokens, resets)
    attention = hidden_attention(mixer, tokens, resets)
    assert attention.shape == (3, 24, 40, 40)
    product = torch.einsum("bdij,bjd->bid", attention, given.u)
    scanned = selective_scan(*given[:5], delta_bias=given.delta_bias, resets=resets)
    torch.testing.assert_close(product, scanned, atol=1e-6, rtol=1e-5)


def test_attention_is_causal_and_its_row_is_the_matrixs(mixer):
    tokens = torch.randn(2, 30, 12)
    attention = hidden_attention(mixer, tokens)
    assert (attention.triu(1) == 0).all()
    for row in (-1, 0, 17):
        torch.testing.assert_close(hidden_attention_row(mixer, tokens, row), attention[:, :, row])
    with pytest.raises(IndexError, match=r"row: expected within \[-30, 30\), got 30"):
        hidden_attention_row(mixer, tokens, 30)


def test_a_row_stays_exact_over_a_long_sequence(mixer):
    tokens = torch.randn(1, 5000, 12)
    given = mixer.scan_inputs(tokens)
    row = hidden_attention_row(mixer, tokens)
    exact = selective_scan(*[x.double() for x in given[:5]], delta_bias=given.delta_bias.double())[:, -1]
    found = torch.einsum("bdj,bjd->bd", row, given.u)
    torch.testing.assert_close(found.double(), exact, atol=1e-6, rtol=1e-5)


def test_zeroed_mixers_pass_nothing_on():
    torch.manual_seed(0)
    net, x = mamba(3), torch.randn(2, 8, 16)
    silent = intervene(net, "zero")
    assert all((mixer(x) == 0).all() for mixer in mamba_mixers(silent))
    torch.testing.assert_close(silent(x), net.norm(x))
    assert not torch.equal(net(x), silent(x))


def test_one_layer_is_changed_and_the_model_itself_is_not():
    torch.manual_seed(0)
    net = mamba(3)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    changed = intervene(net, "random", layers=[2], seed=5).state_dict()
    differing = {name for name, value in changed.items() if not torch.equal(value, before[name])}
    # D and A_log start at the same values each time.
    assert differing == {
        f"blocks.1.mixer.{name}" for name in ("x_proj.weight", "dt_proj.weight", "dt_proj.bias")
    }
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    again = intervene(net, "random", layers=[2], seed=5).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in changed.items())
    assert not torch.equal(
        intervene(net, "random", layers=[2], seed=6).state_dict()["blocks.1.mixer.x_proj.weight"],
        changed["blocks.1.mixer.x_proj.weight"],
    )


def test_swapping_takes_the_donors_tensors_and_only_those():
    torch.manual_seed(0)
    net, donor = mamba(2), mamba(2)
    swapped = intervene(net, "swap", donor=donor)
    for ours, theirs, found in zip(
        mamba_mixers(net), mamba_mixers(donor), mamba_mixers(swapped), strict=True
    ):
        for name in HIDDEN_ATTENTION:
            assert torch.equal(tensors(found)[name], tensors(theirs)[name])
        assert torch.equal(found.in_proj.weight, ours.in_proj.weight)
        assert torch.equal(found.conv1d.weight, ours.conv1d.weight)
        assert torch.equal(found.out_proj.weight, ours.out_proj.weight)


@pytest.mark.parametrize("values", ["initialisation", "normal"])
def test_the_whole_mixer_can_be_randomised_and_nothing_else(values):
    torch.manual_seed(0)
    net = mamba(2)
    changed = intervene(net, "random", layers=[1], seed=3, replaced="mixer", random_values=values)
    fixed = {"A_log", "D"} if values == "initialisation" else set()
    before, after = net.state_dict(), changed.state_dict()
    differing = {name for name in before if not torch.equal(before[name], after[name])}
    names = {
        f"blocks.0.mixer.{name}" for name, _ in mamba_mixers(net)[0].named_parameters() if name not in fixed
    }
    assert differing == names


def test_unit_gaussian_values_are_those():
    net = mamba(1, 64)
    changed = mamba_mixers(intervene(net, "random", seed=1, random_values="normal"))[0]
    drawn = torch.cat([value.flatten() for value in tensors(changed).values()])
    assert abs(drawn.mean()) < 0.05
    assert abs(drawn.std() - 1) < 0.05


def test_swapping_the_whole_mixer_takes_all_of_it_and_zeroing_it_leaves_the_residual():
    torch.manual_seed(0)
    net, donor, x = mamba(2), mamba(2), torch.randn(2, 8, 16)
    swapped = intervene(net, "swap", donor=donor, replaced="mixer")
    for theirs, found in zip(mamba_mixers(donor), mamba_mixers(swapped), strict=True):
        assert torch.equal(theirs(x), found(x))
    torch.testing.assert_close(intervene(net, "zero", replaced="mixer")(x), net.norm(x))


def test_wrong_interventions_are_named():
    net = mamba(2)
    with pytest.raises(ValueError, match="replaced: expected one of scan, mixer, got 'gate'"):
        intervene(net, "zero", replaced="gate")
    with pytest.raises(ValueError, match="random_values: expected one of initialisation, normal, got 'ones'"):
        intervene(net, "random", random_values="ones")
    with pytest.raises(ValueError, match="operation: expected one of swap, random, zero, got 'blur'"):
        intervene(net, "blur")
    with pytest.raises(ValueError, match="layers: expected numbers from 1 to 2, got 3"):
        intervene(net, "zero", layers=[3])
    with pytest.raises(ValueError, match="donor: expected a model for 'swap'"):
        intervene(net, "swap")
    with pytest.raises(ValueError, match=r"donor: expected x_proj.weight of shape \(33, 32\) in layer 1"):
        intervene(net, "swap", donor=mamba(2, d_state=8))
    with pytest.raises(ValueError, match="donor: expected at least 2 Mamba layers, got 1"):
        intervene(net, "swap", donor=mamba(1))
