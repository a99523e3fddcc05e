"""What a selective mixer reads: the input of its convolution, and a gate beside it if it has one."""

from __future__ import annotations

from torch import Tensor


def split_gate(xz: Tensor, channels: int) -> tuple[Tensor, Tensor | None]:
    """Split xz (..., 2 channels) into two views (..., channels); one of (..., channels) has no gate."""
    if xz.shape[-1] == channels:
        return xz, None
    inner, gate = xz.chunk(2, dim=-1)
    return inner, gate
