"""The plain perceptron of policies, critics and encoders."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


class Perceptron(nn.Sequential):
    """Linear layers through `widths`, (..., widths[0]) to (..., widths[-1]), an activation between any two.

    With `dropout` given, each hidden layer has a dropout too. Raises ValueError for fewer than two widths.
    """

    def __init__(
        self, widths: Sequence[int], activation: type[nn.Module], dropout: float | None = None
    ) -> None:
        if len(widths) < 2:
            raise ValueError(f"widths: expected those of input and output at least, got {list(widths)}")
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths[:-1]):
            layers += [nn.Linear(inputs, outputs), activation()]
            if dropout is not None:
                layers.append(nn.Dropout(dropout))
        super().__init__(*layers, nn.Linear(widths[-2], widths[-1]))
