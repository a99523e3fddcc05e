"""How tensors meet the compiled kernels: their memory as arrays, channels in blocks, work in shares."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bench.nn.kernels.vector import LANES

# Work is cut into this many shares at most, each of some SHARE states to advance (less than a millisecond),
# whatever the number of threads: sums over shares, and so results, do not depend on it.
SHARES, SHARE = 8, 1_000_000

Array = NDArray[Any]
Rows = tuple[int, int]


def array(tensor: Tensor) -> Array:
    """Return a tensor's memory as a numpy array."""
    result: Array = tensor.detach().numpy()
    return result


def tokens(tensor: Tensor) -> Array:
    """`array` of (batch, length, channels), copied only if neighbouring channels lie apart."""
    return array(tensor if tensor.stride(-1) == 1 else tensor.contiguous())


def flags(resets: Tensor | None) -> Array:
    """Return resets (batch, length) as bytes, and none as an empty array."""
    return array(
        torch.zeros(0, 0, dtype=torch.uint8) if resets is None else resets.to(torch.uint8).contiguous()
    )


def blocks_of(channels: int) -> int:
    """Return how many blocks of LANES channels there are, the last perhaps not full."""
    return math.ceil(channels / LANES)


def by_block(rows: Tensor, padded_rows: int = 0) -> Tensor:
    """(..., rows, channels) to (..., blocks, padded_rows, LANES), contiguous, padded with zeros."""
    count, channels = rows.shape[-2:]
    blocks = blocks_of(channels)
    rows = F.pad(rows, (0, blocks * LANES - channels, 0, max(0, padded_rows - count)))
    return rows.reshape(*rows.shape[:-1], blocks, LANES).transpose(-3, -2).contiguous()


def channels_by_block(row: Tensor | None, channels: int) -> Array:
    """(channels,) to (blocks, LANES), zeros for none."""
    return array(by_block(torch.zeros(1, channels) if row is None else row.detach().unsqueeze(0)).squeeze(1))


def from_blocks(lines: Tensor, channels: int) -> Tensor:
    """(..., blocks, rows, LANES) to (..., rows, channels)."""
    return lines.transpose(-3, -2).flatten(-2)[..., :channels]


def from_sums(sums: Tensor, channels: int) -> Tensor:
    """(shares, 2, blocks, rows, LANES), compensated sums by share, to their total (rows, channels)."""
    return from_blocks((sums[:, 0] - sums[:, 1]).double().sum(0).float(), channels)


def shares(batch: int, work: int) -> list[Rows]:
    """Cut range(batch) into nearly equal shares for that much `work` in all."""
    parts = min(batch, SHARES, math.ceil(work / SHARE))
    return list(pairwise(batch * part // parts for part in range(parts + 1))) if parts else []


def on_threads(work: Callable[[Rows, int], Any], rows: list[Rows]) -> list[Any]:
    """Call `work` with every share and its index, on as many threads as torch uses; outcomes in order."""
    threads = min(torch.get_num_threads(), len(rows))
    if threads <= 1:
        return [work(share, index) for index, share in enumerate(rows)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, rows, range(len(rows))))
