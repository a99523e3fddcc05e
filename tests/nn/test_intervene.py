"""What replacing a model's attention changes, what it leaves, and what it refuses."""

import pytest
import torch
from backbone_cases import backbone_of, mamba

from bench.nn.intervene import attention_mixers, intervene, mamba_mixers, tensors

# The seven tensors a layer that the authors' code replaces, the five that are the scan's, and all nine.
SCAN = {"x_proj.weight", "dt_proj.weight", "dt_proj.bias", "A_log", "D"}
AUTHORS = {"conv1d.weight", "conv1d.bias", *SCAN}
WHOLE = {"in_proj.weight", "out_proj.weight", *AUTHORS}
REPLACED = {"convolution-and-scan": AUTHORS, "scan": SCAN, "mixer": WHOLE}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return mamba(3)


@pytest.fixture
def donor():
    torch.manual_seed(1)
    made = mamba(3)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def changed_tensors(before, after):
    """Names of the parameters in which two models differ."""
    others = dict(after.named_parameters())
    return {name for name, value in before.named_parameters() if not torch.equal(value, others[name])}


def in_layer(layer, names):
    return {f"blocks.{layer - 1}.mixer.{name}" for name in names}


def test_zeroed_mixers_pass_nothing_on(net):
    x = torch.randn(2, 8, 16)
    silent = intervene(net, "zero")
    assert all((mixer(x) == 0).all() for mixer in mamba_mixers(silent))
    torch.testing.assert_close(silent(x), net.norm(x))
    assert not torch.equal(net(x), silent(x))


@pytest.mark.parametrize("replaced", REPLACED)
@pytest.mark.parametrize("operation", ["swap", "random", "zero"])
def test_the_named_tensors_of_one_layer_are_replaced_and_nothing_else(net, donor, operation, replaced):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    given = donor if operation == "swap" else None
    changed = intervene(net, operation, layers=[2], donor=given, seed=5, replaced=replaced)
    assert changed_tensors(net, changed) == in_layer(2, REPLACED[replaced])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_the_authors_tensors_of_all_layers_are_what_is_replaced_unless_otherwise_said(net, donor):
    swapped = intervene(net, "swap", donor=donor)
    assert changed_tensors(net, swapped) == set().union(*(in_layer(layer, AUTHORS) for layer in (1, 2, 3)))
    for theirs, found in zip(mamba_mixers(donor), mamba_mixers(swapped), strict=True):
        for name, value in tensors(found).items():
            assert torch.equal(value, theirs.get_parameter(name))


def test_a_mixer_swapped_as_a_whole_is_the_donors(net, donor):
    x = torch.randn(2, 8, 16)
    swapped = intervene(net, "swap", donor=donor, replaced="mixer")
    for theirs, found in zip(mamba_mixers(donor), mamba_mixers(swapped), strict=True):
        assert torch.equal(theirs(x), found(x))


@pytest.mark.parametrize(("values", "mean", "deviation"), [("uniform", 0.5, 12**-0.5), ("normal", 0.0, 1.0)])
def test_random_values_are_drawn_for_every_tensor_by_the_seed(values, mean, deviation):
    net = mamba(1, 64)
    changed = intervene(net, "random", seed=1, random_values=values)
    drawn = torch.cat([value.flatten() for value in tensors(mamba_mixers(changed)[0]).values()])
    assert abs(drawn.mean() - mean) < 0.02
    assert abs(drawn.std() - deviation) < 0.02
    assert (values == "uniform") == bool(((drawn >= 0) & (drawn < 1)).all())
    same, other = (intervene(net, "random", seed=seed, random_values=values) for seed in (1, 2))
    assert not changed_tensors(changed, same)
    assert changed_tensors(changed, other) == in_layer(1, AUTHORS)


def test_values_are_uniform_unless_otherwise_said(net):
    plain, uniform = intervene(net, "random"), intervene(net, "random", random_values="uniform")
    assert not changed_tensors(plain, uniform)


@pytest.mark.parametrize("replaced", ["convolution-and-scan", "scan"])
def test_of_a_transformer_queries_keys_and_values_are_replaced(replaced):
    net = backbone_of("attention", "attention", feed_forward="relu")
    changed = intervene(net, "random", layers=[1], replaced=replaced)
    assert changed_tensors(net, changed) == in_layer(1, {"qkv.weight", "qkv.bias"})
    whole = intervene(net, "random", layers=[2], replaced="mixer")
    assert changed_tensors(net, whole) == in_layer(
        2, {"qkv.weight", "qkv.bias", "out_proj.weight", "out_proj.bias"}
    )


def test_zeroed_attention_reads_nothing():
    net, x = backbone_of("attention"), torch.randn(2, 8, 16)
    (mixer,) = attention_mixers(intervene(net, "zero"))
    torch.testing.assert_close(mixer(x), mixer.out_proj.bias.expand(2, 8, 16))


def test_a_frozen_target_network_and_a_mixer_without_attention_have_no_layer_to_replace():
    both = torch.nn.ModuleList([mamba(2), mamba(2)])
    both[1].requires_grad_(False)
    assert len(attention_mixers(both)) == 2
    mixed = backbone_of("convolution", "attention")
    assert attention_mixers(mixed) == [mixed.blocks[1].mixer]


def test_wrong_interventions_are_named():
    net = mamba(2)
    with pytest.raises(
        ValueError, match="replaced: expected one of convolution-and-scan, scan, mixer, got 'gate'"
    ):
        intervene(net, "zero", replaced="gate")
    with pytest.raises(ValueError, match="random_values: expected one of uniform, normal, got 'ones'"):
        intervene(net, "random", random_values="ones")
    with pytest.raises(ValueError, match="operation: expected one of swap, random, zero, got 'blur'"):
        intervene(net, "blur")
    with pytest.raises(ValueError, match="layers: expected numbers from 1 to 2, got 3"):
        intervene(net, "zero", layers=[3])
    with pytest.raises(ValueError, match="donor: expected a model for 'swap'"):
        intervene(net, "swap")
    with pytest.raises(ValueError, match=r"donor: expected x_proj.weight of shape \(33, 32\) in layer 1"):
        intervene(net, "swap", donor=mamba(2, d_state=8))
    with pytest.raises(ValueError, match="donor: expected at least 2 layers with attention, got 1"):
        intervene(net, "swap", donor=mamba(1))
    with pytest.raises(
        ValueError, match=r"donor: expected conv1d.weight of shape \(32, 1, 4\) in layer 1, got none"
    ):
        intervene(net, "swap", donor=backbone_of("attention", "attention"))
