"""The encoder of stacked grey frames that DT and DeMa read Atari with (Mnih et al. 2015; DT's Atari code)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

# Filters, side of the kernel and stride of each convolution.
CONVOLUTIONS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
GREY_LEVELS = 255.0  # the largest
Precision = Literal["float32", "bfloat16"]


class FrameEncoder(nn.Module):
    """Three convolutions with ReLU, then a linear map with tanh.

    For four frames of 84 pixels a side it has 479,520 parameters at width 128, as the linear map reads
    64 x 7 x 7 features. Frames come as grey levels 0 ... 255, uint8. They are read as shares of 255, or, once
    they are centred, by their distance from a mean frame in pixels' deviations. Convolutions and the map work
    in the `precision`; features are float32. Raises ValueError for frames that are too small for the
    convolutions.
    """

    mean_frame: Tensor
    deviation: Tensor

    def __init__(self, frames: int, side: int, width: int, precision: Precision = "float32") -> None:
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
        self.width, self.precision = width, precision
        self.register_buffer("mean_frame", torch.zeros(side, side))
        self.register_buffer("deviation", torch.full((), GREY_LEVELS))

    @torch.no_grad()
    def centre(self, mean_frame: Tensor, deviation: float) -> None:
        """Read frames less a mean frame (side, side), over a deviation, both in grey levels, from now on."""
        self.mean_frame.copy_(mean_frame)
        self.deviation.fill_(deviation)

    def forward(self, states: Tensor) -> Tensor:
        """(..., width) of grey levels (..., frames, side, side), uint8.

        States that are no levels are features (..., width) already: a policy keeps those of past steps.
        """
        if states.is_floating_point():
            return states
        with self._precision(states.device.type):
            features = self.convolutions(self._read(states.flatten(0, -4))).flatten(1)
            encoded = torch.tanh(self.project(features))
        return encoded.float().unflatten(0, states.shape[:-3])

    def _read(self, levels: Tensor) -> Tensor:
        """What the convolutions read of levels (n, frames, side, side)."""
        read = (levels.float() - self.mean_frame) / self.deviation
        if self.precision == "float32":
            return read
        # Channels last, in which bfloat16's convolutions are several times as fast on a CPU.
        return read.to(torch.bfloat16, memory_format=torch.channels_last)

    def _precision(self, device: str) -> AbstractContextManager[object]:
        return torch.autocast(device, torch.bfloat16) if self.precision == "bfloat16" else nullcontext()
