import pytest
import torch
from backbone_cases import WIDTH, backbone_of, mamba, mixer_of
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.nn.attention import CausalSelfAttention
from bench.nn.backbone import Backbone
from bench.nn.block import Block
from bench.nn.mamba import MambaMixer

HYBRID = ("convolution", "attention", "mamba")
NEAR = {"atol": 1e-6, "rtol": 1e-4}


def backbone(mixer, feed_forward=None, dropout=0.0):
    return backbone_of(mixer, mixer, feed_forward=feed_forward, dropout=dropout)


def stepped(net, x, memory):
    """What a backbone gives for the tokens of x (batch, length, width), read one by one."""
    outputs = []
    for token in x.unbind(1):
        y, memory = net.step(token, memory)
        outputs.append(y)
    return torch.stack(outputs, 1)


@pytest.mark.parametrize("feed_forward", [None, "relu", "gelu"])
@pytest.mark.parametrize("kinds", [("mamba", "mamba"), ("attention", "attention"), HYBRID])
def test_step_by_step_is_the_whole_sequence(kinds, feed_forward):
    net, x = backbone_of(*kinds, feed_forward=feed_forward), torch.randn(3, 12, 16)
    torch.testing.assert_close(stepped(net, x, net.allocate_state(3, 12)), net(x), **NEAR)


@pytest.mark.parametrize("padding", [0, 3, 6])
@torch.no_grad()
def test_a_hybrid_steps_on_from_what_it_read_at_once_and_does_not_see_padding(padding):
    net, x = backbone_of(*HYBRID, feed_forward="gelu").eval(), torch.randn(2, 11, 16)
    whole = net(x)
    padded = torch.cat([torch.full((2, padding, 16), float("nan")), x], dim=1)
    mask = torch.arange(padding + 11).expand(2, -1) >= padding
    torch.testing.assert_close(net(padded, mask)[:, padding:], whole, **NEAR)
    read = padding + 7
    y, memory = net.prefill(padded[:, :read], mask[:, :read] if padding else None, padding + 11)
    torch.testing.assert_close(y[:, padding:], whole[:, :7], **NEAR)
    torch.testing.assert_close(stepped(net, x[:, 7:], memory), whole[:, 7:], **NEAR)


def test_each_layer_of_a_hybrid_has_the_mixer_it_was_given():
    mixers = [mixer_of(kind) for kind in HYBRID]
    net = Backbone(3, WIDTH, mixers.__getitem__)
    assert [block.mixer for block in net.blocks] == mixers


@pytest.mark.parametrize("kind", HYBRID)
def test_a_mixer_is_counted_in_the_shapes_it_runs_in(kind):
    mixer, x = mixer_of(kind), torch.randn(2, 9, WIDTH)
    assert mixer.countable_forward(x).shape == mixer(x).shape == x.shape


def test_the_same_seed_gives_the_same_weights_under_the_same_names():
    nets = [backbone_of(*HYBRID, feed_forward="relu") for _ in range(2)]
    names = list(nets[0].state_dict())
    assert names == list(nets[1].state_dict())
    assert names[:4] == ["blocks.0.norm.weight", "blocks.0.norm.bias", "blocks.0.mixer.weight",
                         "blocks.0.mixer.bias"]  # fmt: skip
    assert names[4:8] == ["blocks.0.mlp_norm.weight", "blocks.0.mlp_norm.bias", "blocks.0.mlp.0.weight",
                          "blocks.0.mlp.0.bias"]  # fmt: skip
    assert names[-2:] == ["norm.weight", "norm.bias"]
    assert all(torch.equal(one, other) for one, other in zip(*(n.parameters() for n in nets), strict=True))


@pytest.mark.parametrize("kinds", [("mamba",), ("attention",), ("convolution",), HYBRID])
@pytest.mark.parametrize("grad", [True, False])
def test_a_forked_memory_steps_as_that_of_repeated_rows(kinds, grad):
    net, x = backbone_of(*kinds), torch.randn(2, 5, 16)
    with torch.set_grad_enabled(grad):
        _, memory = net.prefill(x[:, :4], None, 6)
        # A step without gradients leaves the state in the layout of the compiled kernels.
        _, memory = net.step(x[:, 4], memory)
        more = torch.randn(6, 16)
        y, _ = net.step(more, memory.forked(3))
        wanted = net(torch.cat([x[:, :5].repeat_interleave(3, dim=0), more[:, None]], dim=1))[:, -1]
    torch.testing.assert_close(y, wanted, atol=1e-5, rtol=1e-4)


def test_a_forked_cache_keeps_its_padding():
    net, x = backbone("attention"), torch.randn(2, 6, 16)
    mask = torch.arange(5) >= torch.tensor([[0], [3]])
    _, memory = net.prefill(x[:, :5], mask, 6)
    y, _ = net.step(x[:, 5].repeat_interleave(2, dim=0), memory.forked(2))
    wanted = stepped(net, x[:, 5:], memory)[:, 0]
    torch.testing.assert_close(y, wanted.repeat_interleave(2, dim=0))


def test_a_memory_moved_back_forgets_the_tokens_behind_it():
    net, x, other = backbone("attention"), torch.randn(2, 5, 16), torch.randn(2, 2, 16)
    _, memory = net.prefill(x, None, 6)
    changed = torch.cat([x[:, :3], other], dim=1)
    torch.testing.assert_close(stepped(net, other, memory.at(3)), net(changed)[:, 3:], **NEAR)


def test_a_convolution_moved_to_a_position_expects_the_token_of_that_kind():
    net = backbone("convolution")
    kinds = [[state.kind for state in net.allocate_state(1, 9).at(position).layers] for position in range(5)]
    assert kinds == [[0, 0], [1, 1], [2, 2], [0, 0], [1, 1]]


@pytest.mark.parametrize("mixer", ["mamba", "attention"])
@pytest.mark.parametrize("backend", ["numba", "torch"])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    length=st.integers(1, 40), padding=st.lists(st.integers(0, 40), min_size=1, max_size=3),
    filler=st.sampled_from([float("nan"), float("inf"), 3.0]),
)  # fmt: skip
def test_left_padding_changes_nothing(mixer, backend, length, padding, filler):
    net = backbone(mixer, "relu")
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
    net, x = backbone(mixer, "relu"), torch.randn(2, 9, 16)
    changed = x.clone()
    changed[:, 5:] += 1
    torch.testing.assert_close(net(changed)[:, :5], net(x)[:, :5], atol=1e-6, rtol=1e-6)


def test_attention_counts_gpt2s_parameters_and_starts_as_gpt2_does():
    attention = CausalSelfAttention(24, 3)
    assert sum(parameter.numel() for parameter in attention.parameters()) == 4 * 24**2 + 4 * 24
    torch.manual_seed(0)
    net = Backbone(1, 128, lambda _: CausalSelfAttention(128, 2), "relu")
    weights = [m.weight for m in net.blocks.modules() if isinstance(m, torch.nn.Linear)]
    biases = [m.bias for m in net.blocks.modules() if isinstance(m, torch.nn.Linear)]
    assert len(weights) == 4
    assert all(0.019 < weight.std() < 0.021 for weight in weights)
    assert all((bias == 0).all() for bias in biases)


def test_mamba_keeps_its_own_initialisation():
    torch.manual_seed(0)
    net = mamba(1, 128, "relu")
    mixer = net.blocks[0].mixer
    assert mixer.in_proj.weight.std() > 0.04
    assert net.blocks[0].mlp[0].weight.std() < 0.021


def test_blocks_are_their_formulas():
    torch.manual_seed(0)
    x = torch.randn(2, 7, 16)
    pre, post = Block(MambaMixer(16)), Block(CausalSelfAttention(16, 2), "relu")
    torch.testing.assert_close(pre(x), x + pre.mixer(pre.norm(x)))
    mixed = x + post.mixer(post.norm(x))
    torch.testing.assert_close(post(x), mixed + post.mlp(post.mlp_norm(mixed)))


def test_dropout_acts_in_training_only():
    net, x = backbone("attention", "relu", dropout=0.5), torch.randn(2, 7, 16)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="heads: expected a divisor of width = 128, got 3"):
        CausalSelfAttention(128, 3)
    with pytest.raises(ValueError, match="feed_forward: expected one of relu, gelu, got 'tanh'"):
        Block(MambaMixer(16), "tanh")
    with pytest.raises(ValueError, match="layers: expected at least 1, got 0"):
        mamba(0)
    with pytest.raises(ValueError, match="mixer: expected one of width 16, got 8"):
        Backbone(1, 16, lambda _: MambaMixer(8))


def test_wrong_inputs_are_named():
    net = backbone("attention")
    with pytest.raises(ValueError, match=r"x: expected shape \(batch, length, width = 16\), got \(2, 16\)"):
        net(torch.zeros(2, 16))
    with pytest.raises(
        ValueError, match=r"mask: expected a bool tensor of shape \(batch, length\) = \(2, 5\)"
    ):
        net(torch.zeros(2, 5, 16), mask=torch.ones(2, 5))
    memory = net.allocate_state(2, 1)
    _, memory = net.step(torch.zeros(2, 16), memory)
    with pytest.raises(IndexError, match="the cache was allocated for 1 tokens and is full"):
        net.step(torch.zeros(2, 16), memory)


@pytest.mark.parametrize("mixer", ["mamba", "attention"])
@pytest.mark.parametrize("lengths", [[9, 9, 9], [9, 1, 4], [2, 3, 1]])
def test_steps_after_a_prefill_continue_what_was_read_at_once(mixer, lengths):
    net = backbone(mixer).eval()
    longest, more = max(lengths), 3
    rows = [torch.randn(1, length + more, 16) for length in lengths]
    past = torch.full((len(lengths), longest, 16), torch.nan)
    mask = torch.zeros(len(lengths), longest, dtype=torch.bool)
    for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        past[number, longest - length :] = row[0, :length]
        mask[number, longest - length :] = True
    whole = None if bool(mask.all()) else mask
    with torch.no_grad():
        hidden, memory = net.prefill(past, whole, longest + more)
        decoded = []
        for step in range(more):
            tokens = torch.cat([row[:, length + step] for row, length in zip(rows, lengths, strict=True)])
            y, memory = net.step(tokens, memory)
            decoded.append(y)
        for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            expected = net(row)[0]
            torch.testing.assert_close(
                hidden[number, longest - length :], expected[:length], rtol=1e-4, atol=1e-5
            )
            got = torch.stack([y[number] for y in decoded])
            torch.testing.assert_close(got, expected[length:], rtol=1e-4, atol=1e-5)


def test_a_cache_too_small_for_what_is_read():
    net = backbone("attention")
    with pytest.raises(ValueError, match=r"^length: the cache must take the 5 tokens of x, got 4$"):
        net.prefill(torch.zeros(1, 5, 16), None, 4)
