"""The encoder of stacked grey frames that DT and DeMa read Atari with (Mnih et al. 2015; DT's Atari code)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Filters, side of the kernel and stride of each convolution.
CONVOLUTIONS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))


class FrameEncoder(nn.Module):
    """Three convolutions with ReLU, then a linear map with tanh.

    For four frames of 84 pixels a side it has 479,520 parameters at width 128, as the linear map reads
    64 x 7 x 7 features. Raises ValueError for frames that are too small for the convolutions.
    """

    def __init__(self, frames: int, side: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, left = frames, side
        for filters, kernel, stride in CONVOLUTIONS:
            layers += [nn.Conv2d(channels, filters, kernel, stride=stride), nn.ReLU()]
            channels, left = filters, (left - kernel) // stride + 1
            if left < 1:
                raise ValueError(f"frame_side: {side} pixels are too few for the encoder's convolutions")
        self.convolutions = nn.Sequential(*layers)
        self.project = nn.Linear(channels * left * left, width)

    def forward(self, frames: Tensor) -> Tensor:
        """(..., width) of grey frames (..., frames, side, side), in 0 ... 1."""
        features = self.convolutions(frames.flatten(0, -4)).flatten(1)
        return torch.tanh(self.project(features)).unflatten(0, frames.shape[:-3])
