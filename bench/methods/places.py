"""Which steps of a batch are real, as numbers: found on the CPU, where batches are made.

Picked by flags, how many steps there are would be known on a GPU alone, and each update would wait for it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def places_of(flags: NDArray[np.bool_]) -> Tensor:
    """(n,) places of the true ones of `flags` (B, K), one row after the other."""
    return torch.from_numpy(np.flatnonzero(flags))


def taken(values: Tensor, places: Tensor) -> Tensor:
    """(n, ...) those of `values` (B, K, ...) at `places` (n,)."""
    return values.flatten(0, 1).index_select(0, places)
