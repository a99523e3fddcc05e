import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.nn.attention import CausalSelfAttention
from bench.nn.backbone import Backbone
from bench.nn.block import Block

KINDS = [(mixer, arrangement) for mixer in ("mamba", "attention") for arrangement in ("pre", "post")]


def backbone(mixer, arrangement="pre", **options):
    torch.manual_seed(0)
    return Backbone(2, 16, mixer, arrangement, heads=4, d_state=4, **options)


@pytest.mark.parametrize(("mixer", "arrangement"), KINDS)
def test_step_by_step_is_the_whole_sequence(mixer, arrangement):
    net, x = backbone(mixer, arrangement), torch.randn(3, 12, 16)
    states, outputs = net.allocate_state(3, 12), []
    for t in range(12):
        y, states = net.step(x[:, t], states)
        outputs.append(y)
    torch.testing.assert_close(torch.stack(outputs, 1), net(x), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("mixer", ["mamba", "attention"])
@pytest.mark.parametrize("backend", ["numba", "torch"])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    length=st.integers(1, 40), padding=st.lists(st.integers(0, 40), min_size=1, max_size=3),
    filler=st.sampled_from([float("nan"), float("inf"), 3.0]),
)  # fmt: skip
def test_left_padding_changes_nothing(mixer, backend, length, padding, filler):
    net = backbone(mixer, "post")
    longest = length + max(padding)
    windows = [torch.randn(1, length, 16) for _ in padding]
    x, mask = (
        torch.full((len(padding), longest, 16), filler),
        torch.zeros(len(padding), longest, dtype=torch.bool),
    )
    for row, window in enumerate(windows):
        x[row, longest - length :], mask[row, longest - length :] = window, True
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_SCAN_BACKEND", backend)
        padded = net(x, mask)
        bare = torch.cat([net(window) for window in windows])
    assert padded.isfinite().all()
    torch.testing.assert_close(padded[:, longest - length :], bare, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("mixer", ["mamba", "attention"])
def test_gradients_do_not_see_padding(mixer):
    net, window = backbone(mixer), torch.randn(1, 6, 16)
    x = torch.cat([torch.full((1, 5, 16), float("nan")), window], 1).requires_grad_()
    mask = torch.arange(11).unsqueeze(0) >= 5
    weights = torch.randn(1, 6, 16)
    (net(x, mask)[:, 5:] * weights).sum().backward()
    padded = {name: parameter.grad.clone() for name, parameter in net.named_parameters()}
    net.zero_grad()
    (net(window) * weights).sum().backward()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(padded[name], parameter.grad, atol=5e-6, rtol=1e-4)
    assert (x.grad[:, :5] == 0).all()


@pytest.mark.parametrize("mixer", ["mamba", "attention"])
def test_packed_trajectories_are_what_each_is_alone(mixer):
    net, parts = backbone(mixer), [torch.randn(1, length, 16) for length in (3, 1, 7)]
    resets = torch.tensor([[True, False, False, True, True, *[False] * 6]])
    alone = torch.cat([net(part) for part in parts], 1)
    torch.testing.assert_close(net(torch.cat(parts, 1), resets=resets), alone, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("mixer", ["mamba", "attention"])
def test_no_token_sees_a_later_one(mixer):
    net, x = backbone(mixer, "post"), torch.randn(2, 9, 16)
    changed = x.clone()
    changed[:, 5:] += 1
    torch.testing.assert_close(net(changed)[:, :5], net(x)[:, :5], atol=1e-6, rtol=1e-6)


def test_attention_counts_gpt2s_parameters_and_starts_as_gpt2_does():
    attention = CausalSelfAttention(24, 3)
    assert sum(parameter.numel() for parameter in attention.parameters()) == 4 * 24**2 + 4 * 24
    torch.manual_seed(0)
    net = Backbone(1, 128, "attention", "post", heads=2)
    weights = [m.weight for m in net.blocks.modules() if isinstance(m, torch.nn.Linear)]
    biases = [m.bias for m in net.blocks.modules() if isinstance(m, torch.nn.Linear)]
    assert len(weights) == 4
    assert all(0.019 < weight.std() < 0.021 for weight in weights)
    assert all((bias == 0).all() for bias in biases)


def test_mamba_keeps_its_own_initialisation():
    torch.manual_seed(0)
    net = Backbone(1, 128, "mamba", "post")
    mixer = net.blocks[0].mixer
    assert mixer.in_proj.weight.std() > 0.04
    assert net.blocks[0].mlp[0].weight.std() < 0.021


def test_blocks_are_their_formulas():
    torch.manual_seed(0)
    x = torch.randn(2, 7, 16)
    pre, post = Block(16, "mamba", "pre"), Block(16, "attention", "post", heads=2)
    torch.testing.assert_close(pre(x), x + pre.mixer(pre.norm(x)))
    mixed = x + post.mixer(post.norm(x))
    torch.testing.assert_close(post(x), mixed + post.mlp(post.mlp_norm(mixed)))


def test_dropout_acts_in_training_only():
    net, x = backbone("attention", "post", dropout=0.5), torch.randn(2, 7, 16)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="heads: expected a divisor of d_model = 128, got 3"):
        CausalSelfAttention(128, 3)
    with pytest.raises(ValueError, match="mixer: expected one of mamba, attention, convolution, got 'lstm'"):
        Block(16, mixer="lstm")
    with pytest.raises(ValueError, match="arrangement: expected one of pre, post, got 'up'"):
        Block(16, arrangement="up")
    with pytest.raises(ValueError, match="activation: expected one of relu, gelu, got 'tanh'"):
        Block(16, activation="tanh")
    with pytest.raises(ValueError, match="layers: expected at least 1, got 0"):
        Backbone(0, 16)


def test_wrong_inputs_are_named():
    net = backbone("attention")
    with pytest.raises(ValueError, match=r"x: expected shape \(batch, length, 16\), got \(2, 16\)"):
        net(torch.zeros(2, 16))
    with pytest.raises(
        ValueError, match=r"mask: expected a bool tensor of shape \(batch, length\) = \(2, 5\)"
    ):
        net(torch.zeros(2, 5, 16), mask=torch.ones(2, 5))
    states = net.allocate_state(2, 1)
    _, states = net.step(torch.zeros(2, 16), states)
    with pytest.raises(IndexError, match="the cache was allocated for 1 tokens and is full"):
        net.step(torch.zeros(2, 16), states)


@pytest.mark.parametrize("mixer", ["mamba", "attention"])
@pytest.mark.parametrize("lengths", [[9, 9, 9], [9, 1, 4], [2, 3, 1]])
def test_steps_after_a_prefill_continue_what_was_read_at_once(mixer, lengths):
    torch.manual_seed(0)
    backbone = Backbone(2, 16, mixer=mixer, heads=2 if mixer == "attention" else 1).eval()
    longest, more = max(lengths), 3
    rows = [torch.randn(1, length + more, 16) for length in lengths]
    past = torch.full((len(lengths), longest, 16), torch.nan)
    mask = torch.zeros(len(lengths), longest, dtype=torch.bool)
    for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        past[number, longest - length :] = row[0, :length]
        mask[number, longest - length :] = True
    whole = None if bool(mask.all()) else mask
    with torch.no_grad():
        hidden, states = backbone.prefill(past, whole, longest + more)
        decoded = []
        for step in range(more):
            tokens = torch.cat([row[:, length + step] for row, length in zip(rows, lengths, strict=True)])
            y, states = backbone.step(tokens, states)
            decoded.append(y)
        for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            expected = backbone(row)[0]
            torch.testing.assert_close(
                hidden[number, longest - length :], expected[:length], rtol=1e-4, atol=1e-5
            )
            got = torch.stack([y[number] for y in decoded])
            torch.testing.assert_close(got, expected[length:], rtol=1e-4, atol=1e-5)


def test_a_cache_too_small_for_what_is_read():
    backbone = Backbone(1, 16, mixer="attention", heads=2)
    with pytest.raises(ValueError, match=r"^length: the cache must take the 5 tokens of x, got 4$"):
        backbone.prefill(torch.zeros(1, 5, 16), None, 4)
