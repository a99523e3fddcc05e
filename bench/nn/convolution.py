"""Decision ConvFormer's token mixer (Kim et al. 2024, Section 4): a short causal convolution of each feature.

A step is three tokens (return-to-go, state, action), and each kind has a filter of its own, so that token i
is mixed by the filter of kind i mod 3. Features are not mixed and there is no activation; the feed-forward
part of the block does that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TOKEN_KINDS = 3


@dataclass
class ConvolutionState:
    """The last tokens that a convolution can still see, and the kind of the one to come."""

    window: Tensor  # (batch, taps - 1, d_model)
    kind: int = 0


class ConvolutionMixer(nn.Module):
    """Depthwise causal convolution over `window` tokens by kind; (batch, length, d_model) to the same.

    3 d_model (window + 1) parameters. Filters and biases start as those of PyTorch's convolutions, as in the
    authors' code. Raises ValueError for a window below 1.
    """

    def __init__(self, d_model: int, window: int) -> None:
        super().__init__()
        if window < 1:
            raise ValueError(f"window: expected at least 1 token, got {window}")
        self.d_model, self.window = d_model, window
        bound = window**-0.5
        # The last tap is that of the token itself.
        self.weight = nn.Parameter(torch.empty(window, TOKEN_KINDS, d_model).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(TOKEN_KINDS, d_model).uniform_(-bound, bound))

    def forward(self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None) -> Tensor:
        """Mix (batch, length, d_model); the first token of every row is a return-to-go.

        mask (batch, length), bool, is False at padding, whole steps of it, which reads as zero. There are no
        resets: the kinds of a trajectory's tokens that begins inside a row would not be known. Raises
        ValueError for them and for a wrong shape.
        """
        self._check(x, ("batch", "length"))
        if resets is not None:
            raise ValueError(
                "resets: a convolution by kind of token reads one trajectory in a row; pass none"
            )
        return self._convolve(self._padded(x, mask), x.shape[1])

    def prefill(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ConvolutionState]:
        """What `forward` gives for x (batch, length, d_model), and the state after its last token."""
        self._check(x, ("batch", "length"))
        padded, length = self._padded(x, mask), x.shape[1]
        return self._convolve(padded, length), ConvolutionState(padded[:, length:], length % TOKEN_KINDS)

    def step(self, x: Tensor, state: ConvolutionState) -> tuple[Tensor, ConvolutionState]:
        """Advance by one token x (batch, d_model); returns y (batch, d_model) and the new state."""
        self._check(x, ("batch",))
        seen = torch.cat([state.window, x.unsqueeze(1)], dim=1)
        y = (seen * self.weight[:, state.kind]).sum(dim=1) + self.bias[state.kind]
        return y, ConvolutionState(seen[:, 1:], (state.kind + 1) % TOKEN_KINDS)

    def allocate_state(self, batch: int) -> ConvolutionState:
        """Return the state before any token."""
        return ConvolutionState(self.weight.new_zeros(batch, self.window - 1, self.d_model))

    def _padded(self, x: Tensor, mask: Tensor | None) -> Tensor:
        real = x if mask is None else x.masked_fill(~mask.unsqueeze(-1), 0.0)
        return F.pad(real, (0, 0, self.window - 1, 0))

    def _convolve(self, padded: Tensor, length: int) -> Tensor:
        # A sum over the taps: PyTorch's depthwise convolution takes about twice as long on a CPU, and three
        # of them would be needed, or one and a third of the work thrown away.
        kinds = torch.arange(length, device=padded.device) % TOKEN_KINDS
        y = self.bias[kinds].expand(len(padded), -1, -1)
        for tap, filters in enumerate(self.weight[:, kinds]):
            y = y + padded[:, tap : tap + length] * filters
        return y

    def _check(self, x: Tensor, axes: tuple[str, ...]) -> None:
        if x.dim() != len(axes) + 1 or x.shape[-1] != self.d_model:
            shape = ", ".join([*axes, f"d_model = {self.d_model}"])
            raise ValueError(f"x: expected shape ({shape}), got {tuple(x.shape)}")
