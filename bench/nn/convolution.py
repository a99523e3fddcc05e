"""Decision ConvFormer's token mixer (Kim et al. 2024, Section 4): a short causal convolution of each feature.

A step is three tokens (return-to-go, state, action), and each kind has a filter of its own, so that token i
is mixed by the filter of kind i mod 3. Features are not mixed and there is no activation; the feed-forward
part of the block does that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn.checks import check_width
from bench.nn.linear import GPT2Linear
from bench.nn.mixer import Mixer

TOKEN_KINDS = 3


@dataclass(frozen=True)
class ConvolutionState:
    """The last tokens that a convolution can still see, and the kind of the next one."""

    window: Tensor  # (batch, taps - 1, width)
    kind: int = 0

    def forked(self, count: int) -> ConvolutionState:
        """The state of batch * `count` rows: each row `count` times, the copies side by side."""
        return replace(self, window=self.window.repeat_interleave(count, dim=0))

    def at(self, position: int) -> ConvolutionState:
        """The same window before a token of the kind that belongs at `position`."""
        return replace(self, kind=position % TOKEN_KINDS)


class ConvolutionMixer(Mixer[ConvolutionState]):
    """Depthwise causal convolution over `window` tokens by kind; (batch, length, width) to the same.

    3 width (window + 1) parameters. Filters and biases start as those of PyTorch's convolutions, and no
    dropout acts on the result, both as in the authors' code. With `projection_dropout` a linear map and
    dropout follow, as in their code for some games. Raises ValueError for a window below 1.
    """

    drops_out = False

    def __init__(self, width: int, window: int, projection_dropout: float | None = None) -> None:
        super().__init__()
        if window < 1:
            raise ValueError(f"window: expected at least 1 token, got {window}")
        self.width, self.window = width, window
        bound = window**-0.5
        # The last tap is that of the token itself.
        self.weight = nn.Parameter(torch.empty(window, TOKEN_KINDS, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(TOKEN_KINDS, width).uniform_(-bound, bound))
        self.project: nn.Module = nn.Identity()
        if projection_dropout is not None:
            self.project = nn.Sequential(GPT2Linear(width, width), nn.Dropout(projection_dropout))

    def forward(self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None) -> Tensor:
        """Mix (batch, length, width); the first token of every row is a return-to-go.

        mask (batch, length), bool, is False at padding, which reads as zero and comes in whole steps. There
        are no resets: if a trajectory began inside a row, the kinds of its tokens would be unknown. Raises
        ValueError for them and for a wrong shape.
        """
        check_width(x, ("batch", "length"), self.width)
        if resets is not None:
            raise ValueError(
                "resets: a convolution by kind of token reads one trajectory in a row; pass none"
            )
        return self._convolve(self._padded(x, mask), x.shape[1])

    def countable_forward(
        self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None
    ) -> Tensor:
        """One strided convolution for each kind of token; x (batch, 3 steps, width) and no padding."""
        tokens = F.pad(x.transpose(1, 2), (self.window - 1, 0))
        mixed = [
            F.conv1d(
                tokens[:, :, kind:], self.weight[:, kind].T.unsqueeze(1), self.bias[kind], TOKEN_KINDS,
                groups=self.width,
            )
            for kind in range(TOKEN_KINDS)
        ]  # fmt: skip
        projected: Tensor = self.project(torch.stack(mixed, dim=-1).flatten(2).transpose(1, 2))
        return projected

    def prefill(self, x: Tensor, mask: Tensor | None, length: int) -> tuple[Tensor, ConvolutionState]:
        """Return what `forward` gives for x (batch, tokens, width), and the state after its last token.

        The state has one size, whatever the `length`.
        """
        check_width(x, ("batch", "length"), self.width)
        padded, tokens = self._padded(x, mask), x.shape[1]
        return self._convolve(padded, tokens), ConvolutionState(padded[:, tokens:], tokens % TOKEN_KINDS)

    def step(self, x: Tensor, state: ConvolutionState) -> tuple[Tensor, ConvolutionState]:
        """Advance by one token x (batch, width); returns y (batch, width) and the new state."""
        check_width(x, ("batch",), self.width)
        window = torch.cat([state.window, x.unsqueeze(1)], dim=1)
        y = (window * self.weight[:, state.kind]).sum(dim=1) + self.bias[state.kind]
        return self.project(y), ConvolutionState(window[:, 1:], (state.kind + 1) % TOKEN_KINDS)

    def allocate_state(self, batch: int, length: int) -> ConvolutionState:
        """Return the state before any token, of one size whatever the `length`."""
        return ConvolutionState(self.weight.new_zeros(batch, self.window - 1, self.width))

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
        projected: Tensor = self.project(y)
        return projected
