"""The convolution by kind of token: its filters, what it sees, and that steps give the whole sequence."""

from __future__ import annotations

import pytest
import torch
from backbone_cases import backbone_of
from hypothesis import given
from hypothesis import strategies as st

from bench.nn.block import Block
from bench.nn.convolution import ConvolutionMixer


def mixer(window=4, width=5):
    torch.manual_seed(0)
    return ConvolutionMixer(width, window)


def test_each_kind_of_token_has_a_filter_of_its_own():
    net, x = mixer(window=2, width=1), torch.tensor([[[1.0], [10.0], [100.0], [1000.0]]])
    with torch.no_grad():
        net.weight[:, :, 0] = torch.tensor([[2.0, 3.0, 4.0], [5.0, 6.0, 7.0]])
        net.bias[:, 0] = torch.tensor([0.1, 0.2, 0.3])
    wanted = [
        5 * 1 + 0.1,  # nothing comes before the first token
        3 * 1 + 6 * 10 + 0.2,
        4 * 10 + 7 * 100 + 0.3,
        2 * 100 + 5 * 1000 + 0.1,  # a return-to-go again
    ]
    torch.testing.assert_close(net(x).flatten(), torch.tensor(wanted))


def test_features_are_not_mixed():
    net, x = mixer(), torch.randn(2, 7, 5)
    changed = x.clone()
    changed[..., 2] += 1
    moved = (net(changed) != net(x)).flatten(0, 1).any(dim=0)
    assert moved.tolist() == [False, False, True, False, False]


@given(st.integers(1, 12), st.integers(1, 8), st.integers(0, 11))
def test_a_token_reaches_as_many_tokens_as_the_window_and_no_earlier_one(length, window, place):
    place = min(place, length - 1)
    net, x = mixer(window), torch.randn(1, length, 5)
    changed = x.clone()
    changed[:, place] += 1
    with torch.no_grad():
        moved = (net(changed) != net(x)).any(dim=-1).flatten().tolist()
    assert moved == [place <= token < place + window for token in range(length)]


@pytest.mark.parametrize("window", [1, 4, 9])
def test_step_by_step_is_the_whole_sequence_also_after_a_prefill(window):
    net, x = mixer(window), torch.randn(3, 8, 5)
    whole = net(x)
    state = net.allocate_state(3, 8)
    begun, from_the_middle = net.prefill(x[:, :4], None, 8)
    torch.testing.assert_close(begun, whole[:, :4])
    for token in range(8):
        y, state = net.step(x[:, token], state)
        torch.testing.assert_close(y, whole[:, token])
        if token >= 4:
            y, from_the_middle = net.step(x[:, token], from_the_middle)
            torch.testing.assert_close(y, whole[:, token])


@pytest.mark.parametrize("feed_forward", [None, "gelu"])
def test_a_backbone_of_convolutions_steps_pads_and_prefills(feed_forward):
    net = backbone_of("convolution", "convolution", feed_forward=feed_forward)
    x = torch.randn(2, 9, 16)
    whole = net(x)
    padded = torch.cat([torch.full((2, 6, 16), float("nan")), x], dim=1)
    mask = torch.arange(15).expand(2, 15) >= 6
    torch.testing.assert_close(net(padded, mask)[:, 6:], whole, atol=1e-6, rtol=1e-5)
    y, memory = net.prefill(padded[:, :11], mask[:, :11], 15)
    torch.testing.assert_close(y[:, 6:], whole[:, :5], atol=1e-6, rtol=1e-5)
    for token in range(5, 9):
        y, memory = net.step(x[:, token], memory)
        torch.testing.assert_close(y, whole[:, token], atol=1e-6, rtol=1e-5)


def test_no_dropout_acts_on_the_convolution_itself():
    block, x = Block(mixer(width=8), dropout=0.5).train(), torch.randn(1, 6, 8)
    assert torch.equal(block(x), block(x))
    thinned = Block(mixer(width=8), "relu", dropout=0.5).train()
    assert not torch.equal(thinned(x), thinned(x)), "the feed-forward part drops out"


def test_what_a_convolution_cannot_read_is_refused():
    net, x = mixer(), torch.randn(2, 6, 5)
    with pytest.raises(ValueError, match="resets: a convolution by kind of token reads one trajectory"):
        net(x, resets=torch.zeros(2, 6, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"x: expected shape \(batch, length, width = 5\), got \(2, 6, 4\)"):
        net(x[..., :4])
    with pytest.raises(ValueError, match=r"x: expected shape \(batch, width = 5\), got \(2, 6, 5\)"):
        net.step(x, net.allocate_state(2, 1))
    with pytest.raises(ValueError, match="window: expected at least 1 token, got 0"):
        ConvolutionMixer(5, 0)
