"""A stack of LSTM layers with the surface of `bench.nn.backbone.Backbone`."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

LSTMState: TypeAlias = list[Tensor]  # hidden and cell state, each (layers, batch, d_model)


class LSTMBackbone(nn.Module):
    """`layers` LSTM layers as wide as their input; (batch, length, d_model) to the same.

    Weights start orthogonal and biases at zero, as in the code of Ni et al. 2023. Dropout acts between
    layers. Raises ValueError for fewer than one layer.
    """

    def __init__(self, layers: int, d_model: int, dropout: float = 0.0) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers: expected at least 1, got {layers}")
        self.layers, self.d_model = layers, d_model
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(d_model, d_model, layers, batch_first=True, dropout=between)
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.orthogonal_(parameter)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (batch, length, d_model) to the same.

        mask (batch, length), bool: True for tokens that are no padding, which is on the left alone. Padding
        contributes nothing to any other token; what comes out at padding means nothing. Raises ValueError
        for padding elsewhere.
        """
        if mask is None:
            return self.lstm(x)[0]
        if (mask[:, 1:] < mask[:, :-1]).any():
            raise ValueError("mask: expected padding on the left alone, but a token is followed by padding")
        # An LSTM reads forward: with the padding moved behind the tokens it cannot change them.
        length = x.shape[1]
        places = torch.arange(length, device=x.device)
        padding = length - mask.sum(dim=1, keepdim=True)
        forward, back = (places + padding) % length, (places - padding) % length
        y = self.lstm(_take(x, forward))[0]
        return _take(y, back)

    def step(self, x: Tensor, states: LSTMState) -> tuple[Tensor, LSTMState]:
        """Advance by one token x (batch, d_model); returns y (batch, d_model) and the new state."""
        y, following = self.lstm(x.unsqueeze(1), tuple(states))
        return y.squeeze(1), list(following)

    def allocate_state(self, batch: int, length: int) -> LSTMState:
        """Return the state before any token; it has one size whatever the `length`."""
        weight = next(self.lstm.parameters())
        return [weight.new_zeros(self.layers, batch, self.d_model) for _ in range(2)]


def _take(x: Tensor, places: Tensor) -> Tensor:
    """Tokens of x (batch, length, d_model) in the order `places` (batch, length)."""
    return x.gather(1, places.unsqueeze(-1).expand(-1, -1, x.shape[2]))
