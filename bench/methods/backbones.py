"""Backbones by the options of a method, and the learnt positions of the tokens that some of them read."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.nn.attention import CausalSelfAttention
from bench.nn.backbone import Backbone
from bench.nn.mamba import STEP_MIN, MambaMixer

POSITION_STD = 0.02  # GPT-2's


def transformer(options: Options, layers: int) -> Backbone:
    """GPT-2 blocks: causal attention, then a network of four times the width `embedding_dim`."""
    width, dropout = options["embedding_dim"], options["dropout"]
    return Backbone(
        layers,
        width,
        mixer=lambda _: CausalSelfAttention(width, options["heads"], dropout),
        feed_forward=options["activation"],
        dropout=dropout,
    )


def mamba(options: Options, layers: int, step_size_minimum: float = STEP_MIN) -> Backbone:
    """Mamba mixers of width `embedding_dim` alone, without feed-forward layers."""
    width = options["embedding_dim"]
    sizes = {name: options[name] for name in ("d_state", "d_conv", "expand")}
    return Backbone(
        layers,
        width,
        mixer=lambda _: MambaMixer(width, **sizes, step_size_minimum=step_size_minimum),
        dropout=options["dropout"],
    )


class PositionedModel(nn.Module):
    """A model whose tokens pass learnt position embeddings, where it has them, and dropout as they enter."""

    position: nn.Parameter | None

    def make_positions(self, tokens: int, width: int, learnt: bool, dropout: float) -> None:
        """Make room for `tokens` positions; a model calls it where their random numbers are due."""
        self.position = nn.Parameter(POSITION_STD * torch.randn(tokens, width)) if learnt else None
        self.dropout = nn.Dropout(dropout)

    def placed(self, tokens: Tensor, places: Tensor | int) -> Tensor:
        """Tokens (..., D) at `places`: one number, or a shape that broadcasts to (...)."""
        if self.position is not None:
            tokens = tokens + self.position[places]
        dropped: Tensor = self.dropout(tokens)
        return dropped

    def placed_from_first(self, tokens: Tensor) -> Tensor:
        """Tokens (B, L, D) at the places 0 ... L - 1."""
        return self.placed(tokens, torch.arange(tokens.shape[1], device=tokens.device))
