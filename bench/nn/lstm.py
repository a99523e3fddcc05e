"""A stack of LSTM layers with the surface of `bench.nn.backbone.Backbone`."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from bench.nn.state import Memory, States


class LSTMState(NamedTuple):
    """What all LSTM layers of a backbone remember."""

    hidden: Tensor  # (layers, batch, width)
    cell: Tensor  # same shape

    def forked(self, count: int) -> LSTMState:
        """The state of batch * `count` rows: each row `count` times, the copies side by side."""
        return LSTMState(*(values.repeat_interleave(count, dim=1) for values in self))

    def at(self, position: int) -> LSTMState:
        """The state itself: it has one size, whatever the position."""
        return self


class LSTMBackbone(nn.Module):
    """`layers` LSTM layers as wide as their input; (batch, length, width) to the same.

    Weights start orthogonal and biases at zero, as in the code of Ni et al. 2023. Dropout acts between
    layers. Raises ValueError for fewer than one layer.
    """

    def __init__(self, layers: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers: expected at least 1, got {layers}")
        self.layers, self.width = layers, width
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(width, width, layers, batch_first=True, dropout=between)
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.orthogonal_(parameter)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (batch, length, width) to the same.

        mask (batch, length), bool: True for tokens that are not padding. Padding is on the left only and
        contributes nothing to any other token; the output there means nothing. Raises ValueError for padding
        elsewhere on a CPU; a GPU would have to be waited for.
        """
        if mask is None:
            return self.lstm(x)[0]
        if mask.device.type == "cpu" and (mask[:, 1:] < mask[:, :-1]).any():
            raise ValueError("mask: expected padding on the left alone, but a token is followed by padding")
        # An LSTM reads forward: with the padding moved behind the tokens it cannot change them.
        length = x.shape[1]
        places = torch.arange(length, device=x.device)
        padding = length - mask.sum(dim=1, keepdim=True)
        forward, back = (places + padding) % length, (places - padding) % length
        y = self.lstm(_take(x, forward))[0]
        return _take(y, back)

    def step(self, x: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Advance by one token x (batch, width); returns y (batch, width) and the new memory."""
        (state,) = cast("tuple[LSTMState]", memory.layers)
        y, (hidden, cell) = self.lstm(x.unsqueeze(1), tuple(state))
        return y.squeeze(1), States((LSTMState(hidden, cell),))

    def read(self, tokens: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Advance by tokens (batch, count, width); returns y (batch, width) at the last, and the memory."""
        for x in tokens.unbind(1):
            y, memory = self.step(x, memory)
        return y, memory

    def allocate_state(self, batch: int, length: int) -> Memory:
        """Return the memory before any token; it has one size whatever the `length`."""
        weight = next(self.lstm.parameters())
        shape = (self.layers, batch, self.width)
        return States((LSTMState(weight.new_zeros(shape), weight.new_zeros(shape)),))


def _take(x: Tensor, places: Tensor) -> Tensor:
    """Tokens of x (batch, length, width) in the order `places` (batch, length)."""
    return x.gather(1, places.unsqueeze(-1).expand(-1, -1, x.shape[2]))
