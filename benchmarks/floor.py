"""The floor of the selective scan on this machine: its arithmetic alone, on data in the nearest cache.

For each token, channel and state the forward needs one exponential and four vector operations; forward and
backward, with states recomputed, two exponentials and fifteen.
"""

# numba compiles what is below; its intrinsics take an argument less than they declare.
# mypy: ignore-errors

from __future__ import annotations

from collections.abc import Callable

import torch
from numba import float32, njit, types

from bench.nn.kernels.arithmetic import exp2, fma
from bench.nn.kernels.memory import load_quad, store
from bench.nn.kernels.vector import LANES, UNROLL

QUAD = UNROLL * LANES
QUADS = 32


def _kernel(exponentials: int, operations: int) -> Callable:
    @njit(types.void(float32[::1], float32[::1], types.int64), nogil=True)
    def run(data, results, rounds):
        for _ in range(rounds):
            for i in range(QUADS):
                x = load_quad(data, (i * QUAD,))
                value, factor = x, exp2(x)
                for _ in range(exponentials - 1):
                    factor = exp2(factor)
                for _ in range(operations):
                    value = fma(value, factor, x)
                store(results, (i * QUAD,), value)

    return run


def floor(
    exponentials: int, operations: int, batch: int, length: int, channels: int, states: int
) -> Callable:
    """Return a function that does so much arithmetic for each token, channel and state, and nothing else."""
    kernel = _kernel(exponentials, operations)
    data = -torch.rand(QUADS * QUAD, generator=torch.Generator().manual_seed(0))
    results = torch.empty_like(data)
    rounds = batch * length * channels * states // data.numel()
    return lambda: kernel(data.numpy(), results.numpy(), rounds)


def forward_floor(*shape: int) -> Callable:
    """One exponential and four operations."""
    return floor(1, 4, *shape)


def forward_backward_floor(*shape: int) -> Callable:
    """Two exponentials and fifteen operations."""
    return floor(2, 15, *shape)
