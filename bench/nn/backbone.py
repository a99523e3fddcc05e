"""The sequence model both papers' methods share: a stack of blocks and a final LayerNorm."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.nn.attention import CausalSelfAttention
from bench.nn.block import MLP, Block, BlockState
from bench.nn.mixer import STEP_MIN

INITIAL_STD = 0.02  # GPT-2's


class Backbone(nn.Module):
    """`layers` blocks of `bench.nn.block.Block` and a LayerNorm; (batch, length, d_model) to the same.

    Linear layers of attention and MLP start as GPT-2's (normal with deviation 0.02, zero bias), Mamba's as
    Mamba's, with step sizes from `step_size_minimum` up. A convolution sees `convolution_window` tokens.
    Raises ValueError for fewer than one layer and as `Block` does.
    """

    def __init__(
        self,
        layers: int,
        d_model: int,
        mixer: str = "mamba",
        arrangement: str = "pre",
        heads: int = 1,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dropout: float = 0.0,
        activation: str = "relu",
        step_size_minimum: float = STEP_MIN,
        convolution_window: int = 6,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers: expected at least 1, got {layers}")
        self.d_model = d_model
        self.blocks = nn.ModuleList(
            Block(
                d_model,
                mixer,
                arrangement,
                heads,
                d_state,
                d_conv,
                expand,
                dropout,
                activation,
                step_size_minimum,
                convolution_window,
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(d_model)
        for module in self.modules():
            if isinstance(module, CausalSelfAttention | MLP):
                _initialise(module)

    def forward(self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None) -> Tensor:
        """Map (batch, length, d_model) to the same.

        mask (batch, length), bool: True for tokens that are no padding. Padding contributes nothing to any
        other token, whatever it holds; a left-padded window gives what the bare window gives. What comes out
        at padding is finite and means nothing. For Mamba each run of tokens between paddings is a sequence of
        its own. resets (batch, length), bool: tokens that begin a new trajectory and see nothing before them.
        Raises ValueError for a wrong shape or dtype.
        """
        x = self._checked(x, mask, resets)
        for block in self.blocks:
            x = block(x, mask, resets)
        return self.norm(x)

    def prefill(
        self, x: Tensor, mask: Tensor | None = None, length: int = 0
    ) -> tuple[Tensor, list[BlockState]]:
        """What `forward` gives for x (batch, tokens, d_model), and the states from which `step` goes on.

        Rows shorter than the longest are padded on the left, `mask` False there, so that every row ends at
        the last token. `length` bounds the tokens of an attention cache, those of x included. Raises
        ValueError as `forward` does, and where the cache is too small for x.
        """
        x = self._checked(x, mask, None)
        states = []
        for block in self.blocks:
            x, state = block.prefill(x, mask, length)  # type: ignore[operator]
            states.append(state)
        return self.norm(x), states

    def _checked(self, x: Tensor, mask: Tensor | None, resets: Tensor | None) -> Tensor:
        if x.dim() != 3 or x.shape[2] != self.d_model:
            raise ValueError(f"x: expected shape (batch, length, {self.d_model}), got {tuple(x.shape)}")
        for name, flags in (("mask", mask), ("resets", resets)):
            if flags is not None and (flags.shape != x.shape[:2] or flags.dtype != torch.bool):
                raise ValueError(
                    f"{name}: expected a bool tensor of shape (batch, length) = {tuple(x.shape[:2])}, "
                    f"got {flags.dtype} of {tuple(flags.shape)}"
                )
        # Padding may hold anything, NaN included; zero times NaN would leak through the softmax's zero
        # weights.
        return x if mask is None else x.masked_fill(~mask.unsqueeze(-1), 0.0)

    def step(self, x: Tensor, states: list[BlockState]) -> tuple[Tensor, list[BlockState]]:
        """Advance by one token x (batch, d_model); returns y (batch, d_model) and each block's new state."""
        following = []
        for block, state in zip(self.blocks, states, strict=True):
            x, state = block.step(x, state)  # type: ignore[operator]
            following.append(state)
        return self.norm(x), following

    def allocate_state(self, batch: int, length: int) -> list[BlockState]:
        """Return the states before any token; `length` bounds the tokens an attention cache can take."""
        return [block.allocate_state(batch, length) for block in self.blocks]  # type: ignore[operator]


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    for child in module.modules():
        if isinstance(child, nn.Linear):
            child.weight.normal_(0.0, INITIAL_STD)
            child.bias.zero_()
