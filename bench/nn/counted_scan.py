"""The selective scan as one named operator, for the counters of `bench.measure.counting`."""

from __future__ import annotations

import torch
from torch import Tensor

# For each token, channel and state: step x A, step x B x u, decay x state, state x C.
SCAN_PRODUCTS = 4


@torch.library.custom_op("bench::counted_scan", mutates_args=())
def counted_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Stand for the scan while counting: the right shape, no work.

    u, delta (batch, length, channels), A (channels, states), B, C (batch, length, states).
    """
    return torch.zeros_like(u)


def scan_macs(batch: int, length: int, channels: int, states: int) -> int:
    """Multiply-accumulate operations of a selective scan."""
    return SCAN_PRODUCTS * batch * length * channels * states
