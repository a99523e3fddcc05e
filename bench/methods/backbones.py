"""Backbones by the options of a method, and the learnt positions of the tokens that some of them read."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.nn.backbone import Backbone
from bench.nn.mixer import STEP_MIN

POSITION_STD = 0.02  # GPT-2's


def transformer(options: Options, layers: int) -> Backbone:
    """GPT-2 blocks: causal attention, then a network of four times the width `embedding_dim`."""
    return Backbone(
        layers, options["embedding_dim"], mixer="attention", arrangement="post", heads=options["heads"],
        dropout=options["dropout"], activation=options["activation"],
    )  # fmt: skip


def mamba(options: Options, layers: int, step_size_minimum: float = STEP_MIN) -> Backbone:
    """Mamba mixers of width `embedding_dim` alone, without feed-forward layers."""
    return Backbone(
        layers, options["embedding_dim"], mixer="mamba", arrangement="pre", d_state=options["d_state"],
        d_conv=options["d_conv"], expand=options["expand"], dropout=options["dropout"],
        step_size_minimum=step_size_minimum,
    )  # fmt: skip


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
