"""The LSTM backbone has the surface of the others: causal, blind to padding, and the same step by step."""

from __future__ import annotations

import pytest
import torch

from bench.nn.lstm import LSTMBackbone

NEAR = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(params=[1, 2])
def backbone(request):
    torch.manual_seed(0)
    return LSTMBackbone(request.param, 8).eval()


def test_token_by_token_is_the_same_as_at_once(backbone):
    x = torch.randn(3, 7, 8)
    memory, steps = backbone.allocate_state(3, 7), []
    with torch.no_grad():
        for t in range(7):
            y, memory = backbone.step(x[:, t], memory)
            steps.append(y)
        torch.testing.assert_close(torch.stack(steps, dim=1), backbone(x), **NEAR)


@torch.no_grad()
def test_a_forked_memory_steps_as_that_of_repeated_rows(backbone):
    x, more = torch.randn(3, 4, 8), torch.randn(6, 8)
    memory = backbone.allocate_state(3, 5)
    for token in x.unbind(1):
        _, memory = backbone.step(token, memory)
    y, _ = backbone.step(more, memory.forked(2))
    whole = torch.cat([x.repeat_interleave(2, dim=0), more[:, None]], dim=1)
    torch.testing.assert_close(y, backbone(whole)[:, -1], **NEAR)


def test_padding_on_the_left_contributes_nothing_whatever_it_holds(backbone):
    x, bare = torch.full((3, 7, 8), float("nan")), torch.randn(3, 7, 8)
    lengths = (7, 4, 1)
    mask = torch.zeros(3, 7, dtype=torch.bool)
    for row, length in enumerate(lengths):
        x[row, 7 - length :], mask[row, 7 - length :] = bare[row, :length], True
    with torch.no_grad():
        y = backbone(x, mask)
        for row, length in enumerate(lengths):
            wanted = backbone(bare[row : row + 1, :length])[0]
            torch.testing.assert_close(y[row, 7 - length :], wanted, **NEAR)


def test_weights_start_orthogonal_and_biases_at_zero(backbone):
    for name, parameter in backbone.named_parameters():
        if "bias" in name:
            assert not parameter.any()
        else:
            torch.testing.assert_close(parameter.T @ parameter, torch.eye(8), **NEAR)


def test_messages():
    with pytest.raises(ValueError, match=r"^layers: expected at least 1, got 0$"):
        LSTMBackbone(0, 8)
    mask = torch.tensor([[True, False, True]])
    with pytest.raises(ValueError, match="mask: expected padding on the left alone, but a token is followed"):
        LSTMBackbone(1, 8)(torch.zeros(1, 3, 8), mask)
