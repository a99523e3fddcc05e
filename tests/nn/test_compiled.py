"""One sequence read by a compiled program is what the written path reads, and nothing else changes hands."""

import contextlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.nn.attention import CausalSelfAttention, use_attention_kernel
from bench.nn.backbone import Backbone
from bench.nn.convolution import ConvolutionMixer
from bench.nn.kept_program import written_path
from bench.nn.mamba import MambaMixer
from bench.nn.scan_mixer import ScanMixer
from bench.nn.state import States

NEAR = {"rtol": 1e-4, "atol": 5e-6}
MAKERS = {
    "mamba": lambda width, states, taps, heads: MambaMixer(width, d_state=states, d_conv=taps),
    "scan": lambda width, states, taps, heads: ScanMixer(width, d_state=states, d_conv=taps),
    "attention": lambda width, states, taps, heads: CausalSelfAttention(width, heads),
}


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    monkeypatch.setenv("BENCH_SCAN_BACKEND", "numba")


@pytest.fixture(autouse=True)
def decisions():
    with torch.no_grad():
        yield


def backbone(kinds, width=24, states=5, taps=3, heads=3, feed_forward=None, norm="layer", seed=0):
    """A backbone in evaluation, its weights far enough from their start for every input to matter."""
    torch.manual_seed(seed)
    net = Backbone(
        len(kinds),
        width,
        lambda layer: MAKERS[kinds[layer]](width, states, taps, heads),
        feed_forward,
        0.1,
        norm,
    )
    for parameter in net.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    return net.eval()


def read(net, x, counts, memory=None):
    """What a backbone gives at the last of each group of so many tokens of x (1, length, width)."""
    memory, begin, outputs = memory or net.allocate_state(1, x.shape[1]), 0, []
    for count in counts:
        y, memory = net.read(x[:, begin : begin + count], memory)
        begin += count
        outputs.append(y)
    return torch.cat(outputs), memory


def is_compiled(memory):
    return not isinstance(memory, States)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    kinds=st.lists(st.sampled_from(sorted(MAKERS)), min_size=1, max_size=3),
    heads=st.sampled_from([1, 2, 3]), features=st.sampled_from([1, 5, 16, 43]),
    states=st.sampled_from([1, 5, 16]), taps=st.integers(1, 4),
    feed_forward=st.sampled_from([None, "relu", "gelu"]), norm=st.sampled_from(["layer", "rms"]),
    counts=st.lists(st.integers(1, 4), min_size=1, max_size=20), seed=st.integers(0, 1000),
)  # fmt: skip
def test_any_backbone_reads_as_it_is_written(
    kinds, heads, features, states, taps, feed_forward, norm, counts, seed
):
    with torch.no_grad():
        net = backbone(kinds, heads * features, states, taps, heads, feed_forward, norm, seed)
        x = torch.randn(1, sum(counts), heads * features)
        found, memory = read(net, x, counts)
        with written_path():
            expected, plain = read(net, x, counts)
    assert is_compiled(memory)
    assert not is_compiled(plain)
    torch.testing.assert_close(found, expected, **NEAR)


def test_hundreds_of_steps_stay_with_the_whole_sequence():
    net, x = backbone(["mamba", "attention"], feed_forward="gelu"), torch.randn(1, 400, 24)
    torch.testing.assert_close(read(net, x, [1] * 400)[0], net(x)[0], **NEAR)


@pytest.mark.parametrize("kinds", [["mamba", "scan"], ["attention", "attention"]])
def test_tokens_give_the_same_bytes_however_they_are_grouped_and_every_time(kinds):
    net, x = backbone(kinds, feed_forward="relu"), torch.randn(1, 60, 24)
    one_by_one, _ = read(net, x, [1] * 60)
    for counts in ([3] * 20, [1] + [2] * 29 + [1], [60], [1] * 60):
        ends = torch.tensor(counts).cumsum(0) - 1
        assert torch.equal(read(net, x, counts)[0], one_by_one[ends])


@pytest.mark.parametrize("kinds", [["mamba", "scan"], ["attention", "mamba"]])
def test_memories_change_hands_at_any_step(kinds):
    net, x = backbone(kinds, heads=3), torch.randn(1, 40, 24)
    memory, outputs = net.prefill(x[:, :7], None, 40)[1], []
    for t in range(7, 40):
        with written_path() if t % 5 == 0 else contextlib.nullcontext():
            y, memory = net.step(x[:, t], memory)
        assert is_compiled(memory) == (t % 5 != 0)
        outputs.append(y)
    torch.testing.assert_close(torch.cat(outputs), net(x)[0, 7:], **NEAR)


def test_a_memory_can_be_forked_and_moved_back():
    net, x = backbone(["attention", "attention"]), torch.randn(1, 12, 24)
    _, memory = read(net, x, [1] * 9, net.allocate_state(1, 12))
    y, _ = net.step(torch.cat([x[:, 9], x[:, 10]]), memory.forked(2))
    for row, token in enumerate((9, 10)):
        whole = net(torch.cat([x[:, :9], x[:, token : token + 1]], 1))[0, -1]
        torch.testing.assert_close(y[row], whole, **NEAR)
    y, _ = net.step(x[:, 10], memory.at(4))
    torch.testing.assert_close(y[0], net(torch.cat([x[:, :4], x[:, 10:11]], 1))[0, -1], **NEAR)


def test_two_sequences_take_turns_without_meeting():
    net, x = backbone(["mamba", "attention"]), torch.randn(2, 10, 24)
    memories, outputs = [net.allocate_state(1, 10) for _ in x], [[], []]
    for t in range(10):
        for row in (0, 1):
            y, memories[row] = net.step(x[row : row + 1, t], memories[row])
            outputs[row].append(y[0])
    for row in (0, 1):
        torch.testing.assert_close(torch.stack(outputs[row]), net(x)[row], **NEAR)


@pytest.mark.parametrize("kinds", [["mamba"], ["attention"]])
def test_weights_count_as_they_are_at_each_step(kinds):
    net, x = backbone(kinds), torch.randn(1, 8, 24)
    _, memory = read(net, x, [1] * 4)
    for parameter in net.parameters():
        parameter.mul_(1.5)
    with written_path():
        expected, _ = net.step(x[:, 4], States(memory.layers))
    found, memory = net.step(x[:, 4], memory)
    torch.testing.assert_close(found, expected, **NEAR)
    net.norm.bias = torch.nn.Parameter(net.norm.bias + 1)
    torch.testing.assert_close(net.step(x[:, 5], net.allocate_state(1, 1))[0], net(x[:, 5:6])[:, 0], **NEAR)


def test_a_full_cache_is_named():
    net, x = backbone(["attention"]), torch.randn(1, 6, 24)
    _, memory = net.read(x[:, :4], net.allocate_state(1, 5))
    with pytest.raises(IndexError, match="the cache was allocated for 5 tokens and is full"):
        net.read(x[:, 4:], memory)
    net.step(x[:, 4], memory)


def test_what_programs_do_not_know_takes_the_written_path(monkeypatch):
    net, wide = backbone(["mamba", "attention"]), backbone(["mamba"], taps=6)
    convolution = Backbone(1, 24, lambda _: ConvolutionMixer(24, 4)).eval()
    x, eager = torch.randn(2, 5, 24), backbone(["attention"])
    use_attention_kernel(eager, "eager")
    for model in (wide, convolution, eager):
        assert not is_compiled(model.step(x[:1, 0], model.allocate_state(1, 5))[1])
    assert not is_compiled(net.step(x[:, 0], net.allocate_state(2, 5))[1])
    mask = torch.arange(5).unsqueeze(0) > 0
    padded = net.prefill(x[:1], mask, 8)[1]
    assert not is_compiled(net.step(x[:1, 0], padded)[1])
    double = backbone(["mamba", "attention"]).double()
    assert not is_compiled(double.step(x[:1, 0].double(), double.allocate_state(1, 5))[1])
    with torch.enable_grad():
        assert not is_compiled(net.step(x[:1, 0], net.allocate_state(1, 5))[1])
    assert not is_compiled(net.train().step(x[:1, 0], net.allocate_state(1, 5))[1])
    monkeypatch.setenv("BENCH_SCAN_BACKEND", "torch")
    assert not is_compiled(net.eval().step(x[:1, 0], net.allocate_state(1, 5))[1])
