"""Linear layers that start as GPT-2's."""

from __future__ import annotations

import torch
from torch import nn

INITIAL_STD = 0.02  # GPT-2's


class GPT2Linear(nn.Linear):
    """A linear layer whose weights start normal with deviation 0.02, and whose bias starts at zero.

    It is made as any other layer of PyTorch. The model it is part of calls `draw` once all its layers are
    made, which fixes the order of random numbers.
    """

    @torch.no_grad()
    def draw(self) -> None:
        """Draw the weights, and clear the bias."""
        self.weight.normal_(0.0, INITIAL_STD)
        self.bias.zero_()
