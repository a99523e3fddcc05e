"""The compiled selective scan, forward, over sixteen channels and four states at a time.

Loops run over batch row, chunk of CHUNK tokens, block of LANES channels, four states, and tokens innermost:
the states live in registers, a chunk's intermediate values in the first-level cache, and nothing of size
(batch, length, channels, states) anywhere. For the backward (`bench.nn.kernels.scan_backward`) the forward
keeps the state before each chunk.

Arguments. `states` is a multiple of UNROLL, `blocks` the number of channel blocks; arrays are float32.
u, delta, z, y: (batch, length, channels), last axis contiguous. B, C: (batch, length, states), likewise.
decay, A log2(e) by block: (blocks, states, LANES). D, bias: (blocks, LANES).
resets: (batch, length) uint8, or (0, 0) for none. gated, smooth: whether there is a z, and a softplus.
rows is a half-open range of batch rows: one call's share of the work.
"""

# numba compiles what is below; its intrinsics take an argument less than they declare.
# mypy: ignore-errors

from __future__ import annotations

from numba import float32, njit, types

from bench.nn.kernels.arithmetic import dot, exp2, fma, total, zero_quad
from bench.nn.kernels.denormals import flush_denormals, restore_denormals
from bench.nn.kernels.functions import ZERO, sigmoid, softplus
from bench.nn.kernels.memory import (
    broadcast,
    columns,
    load,
    load_first,
    load_quad,
    prefetch,
    store,
    store_first,
)
from bench.nn.kernels.vector import LANES, UNROLL

# Longer chunks spill the backward's scratch arrays out of a 48 KiB cache, shorter ones keep more states.
CHUNK = 16

ROWS, TOKENS = types.UniTuple(types.int64, 2), float32[:, :, :]
SIGNATURE_INPUTS = (
    ROWS, TOKENS, TOKENS, float32[:, :, ::1], TOKENS, TOKENS, float32[:, ::1], TOKENS, float32[:, ::1],
    types.boolean, types.boolean, types.uint8[:, ::1],
)  # fmt: skip
SIGNATURE = float32(
    *SIGNATURE_INPUTS, TOKENS, float32[:, :, :, :, ::1], types.int64, float32[::1], types.int64[::1]
)

# Lines of the scratch array: a chunk's values by channel. The forward needs the first three.
STEP, WRITTEN, OUTPUT, GRAD_OUTPUT, GRAD_WRITTEN, GRAD_EXPONENT, STEP_SLOPE, GATE_SLOPE = range(8)
LINES = 8


@njit(forceinline=True)
def line(row, t):
    """Where the scratch array holds token t of a line; it is flat, so that the inner loops read no sizes."""
    return ((row * CHUNK + t) * LANES,)


@njit(forceinline=True)
def find_runs(resets, row, first, count, runs):
    """Split a chunk where trajectories begin: run j is tokens runs[j] to runs[j + 1].

    Returns how many runs there are, and whether the first of them begins a trajectory; the others do.
    """
    number = 0
    runs[0] = 0
    if resets.shape[0] > 0:
        for t in range(1, count):
            if resets[row, first + t] != 0:
                number += 1
                runs[number] = t
    runs[number + 1] = count
    return number + 1, resets.shape[0] > 0 and resets[row, first] != 0


@njit(forceinline=True)
def fetch(array, row, first, count, block, n, turn, states):
    """In the `turn`-th round of the loop over states n, ask for the chunk's part of the next channel block.

    One array a round: a core tracks some sixteen outstanding lines, and more requests at once would stall it.
    """
    if n == turn * UNROLL % states:
        for t in range(count):
            prefetch(array, (row, first + t, (block + 1) * LANES))


@njit(forceinline=True)
def load_chunk(u, delta, D, bias, smooth, row, first, count, block, lanes, scratch):
    """Fill STEP with softplus(delta + bias), WRITTEN with step u, and OUTPUT with D u."""
    channel = block * LANES
    offset, skip = load(bias, (block, 0)), load(D, (block, 0))
    for t in range(count):
        u_t = load_first(u, (row, first + t, channel), lanes)
        step = load_first(delta, (row, first + t, channel), lanes) + offset
        if smooth:
            step = softplus(step)
        store(scratch, line(STEP, t), step)
        store(scratch, line(WRITTEN, t), step * u_t)
        store(scratch, line(OUTPUT, t), skip * u_t)


@njit(forceinline=True)
def advance(a, h, B, C, row, first, begin, end, n, scratch):
    """Run four states over tokens begin to end of a chunk, adding C h to OUTPUT; returns the new states."""
    for t in range(begin, end):
        written = load(scratch, line(WRITTEN, t)) * columns(B, (row, first + t, n))
        h = fma(exp2(load(scratch, line(STEP, t)) * a), h, written)
        output = load(scratch, line(OUTPUT, t))
        store(scratch, line(OUTPUT, t), dot(h, columns(C, (row, first + t, n)), output))
    return h


@njit(forceinline=True)
def store_output(z, gated, y, row, first, count, block, lanes, scratch, health):
    """Write y, gated; returns `health` made NaN by any value that is not finite."""
    for t in range(count):
        place = (row, first + t, block * LANES)
        value = load(scratch, line(OUTPUT, t))
        if gated:
            gate = load_first(z, place, lanes)
            value = value * gate * sigmoid(gate)
        health = fma(value, broadcast(ZERO), health)
        store_first(y, place, value, lanes)
    return health


def scan_forward(
    rows, u, delta, decay, B, C, D, z, bias, gated, smooth, resets, y, states, keep, scratch, runs
):
    """Compute y. Returns 0, or NaN where y is not finite.

    states (batch, slots, blocks, states, LANES) holds the initial state in slot 0. With `keep` = 1 the state
    after chunk c goes to slot c + 1 of chunks + 1, with `keep` = 0 always to slot 0.
    """
    mode = flush_denormals()
    size, health = decay.shape[1], broadcast(ZERO)
    for row in range(rows[0], rows[1]):
        for first in range(0, u.shape[1], CHUNK):
            count, slot = min(CHUNK, u.shape[1] - first), first // CHUNK * keep
            number, fresh = find_runs(resets, row, first, count, runs)
            for block in range(decay.shape[0]):
                lanes = min(LANES, u.shape[2] - block * LANES)
                load_chunk(u, delta, D, bias, smooth, row, first, count, block, lanes, scratch)
                for n in range(0, size, UNROLL):
                    fetch(u, row, first, count, block, n, 0, size)
                    fetch(delta, row, first, count, block, n, 1, size)
                    fetch(y, row, first, count, block, n, 2, size)
                    if gated:
                        fetch(z, row, first, count, block, n, 3, size)
                    a = load_quad(decay, (block, n, 0))
                    h = load_quad(states, (row, slot, block, n, 0))
                    for run in range(number):
                        if run > 0 or fresh:
                            h = zero_quad()
                        h = advance(a, h, B, C, row, first, runs[run], runs[run + 1], n, scratch)
                    store(states, (row, slot + keep, block, n, 0), h)
                health = store_output(z, gated, y, row, first, count, block, lanes, scratch, health)
    restore_denormals(mode)
    return total(health)
