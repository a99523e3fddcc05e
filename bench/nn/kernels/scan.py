"""The compiled selective scan, forward and backward, over sixteen channels and four states at a time.

Loops run over batch row, chunk of CHUNK tokens, block of LANES channels, four states, and tokens innermost: the states
live in registers, a chunk's intermediate values in the first-level cache, and nothing of size (batch, length, channels,
states) anywhere. The forward keeps the state before each chunk; the backward recomputes the chunk from there and then
walks it in reverse.

Arguments. `states` is a multiple of UNROLL, `blocks` the number of channel blocks; arrays are float32.
u, delta, z, y, and gradients of them: (batch, length, channels), last axis contiguous. B, C: (batch, length, states).
decay, A log2(e) by block: (blocks, states, LANES). D, bias: (blocks, LANES).
resets: (batch, length) uint8, or (0, 0) for none. gated, smooth: whether there is a z, and a softplus.
rows and span are half-open ranges of batch rows and channel blocks: one call's share of the work.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from numba import njit, types

from bench.nn.kernels.functions import ZERO, sigmoid, silu_and_slope, softplus, softplus_and_slope
from bench.nn.kernels.memory import (
    add_line,
    add_lines,
    broadcast,
    columns,
    load,
    load_first,
    load_quad,
    prefetch,
    store,
    store_first,
    zero_quad,
)
from bench.nn.kernels.vector import LANES, UNROLL, dot, exp2, fma, total

CHUNK = 32
LN_2 = types.float32(0.6931471805599453)

# `lines` holds LINES rows of a chunk's values by channel; see `line`.
STEP, WRITTEN, OUTPUT, GRAD_OUTPUT, GRAD_WRITTEN, GRAD_EXPONENT, STEP_SLOPE, GATE_SLOPE = range(8)
LINES = 8
# `tiles` holds two of a chunk's values in four states; see `tile`.
DECAY, CARRIED = 0, 1
# `sums` holds a chunk's gradients of B and C, not yet summed over channels; see `place`.
GRAD_B, GRAD_C = 0, 1


# Scratch arrays are flat, so that addresses in the innermost loops need no sizes from memory.
@njit(forceinline=True)
def line(row, t):
    """Where `lines` holds token t of a row."""
    return ((row * CHUNK + t) * LANES,)


@njit(forceinline=True)
def tile(which, t):
    """Where `tiles` holds token t."""
    return ((which * CHUNK + t) * UNROLL * LANES,)


@njit(forceinline=True)
def place(which, t, n, states):
    """Where `sums` holds state n of token t."""
    return (((which * CHUNK + t) * states + n) * LANES,)


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

    One array a round: the processor tracks some sixteen outstanding lines, and more requests at once would stall it.
    """
    if n == turn * UNROLL % states:
        for t in range(count):
            prefetch(array, (row, first + t, (block + 1) * LANES))


@njit(forceinline=True)
def advance(a, h, B, C, row, first, begin, end, n, lines):
    """Run four states over tokens begin to end of a chunk, adding C h to OUTPUT; returns the new states."""
    for t in range(begin, end):
        written = load(lines, line(WRITTEN, t)) * columns(B, (row, first + t, n))
        h = fma(exp2(load(lines, line(STEP, t)) * a), h, written)
        store(lines, line(OUTPUT, t), dot(h, columns(C, (row, first + t, n)), load(lines, line(OUTPUT, t))))
    return h


def scan_forward(
    rows, span, u, delta, decay, B, C, D, z, bias, gated, smooth, resets, y, states, keep, lines, runs
):
    """Compute y. Returns 0, or NaN where y is not finite.

    states (batch, slots, blocks, states, LANES) holds the initial state in slot 0. With `keep` = 1 the state after
    chunk c goes to slot c + 1 of chunks + 1, with `keep` = 0 always to slot 0.
    """
    length, channels = u.shape[1], u.shape[2]
    health = broadcast(ZERO)
    for row in range(rows[0], rows[1]):
        for first in range(0, length, CHUNK):
            count = min(CHUNK, length - first)
            slot = first // CHUNK * keep
            number, fresh = find_runs(resets, row, first, count, runs)
            for block in range(span[0], span[1]):
                channel = block * LANES
                lanes = min(LANES, channels - channel)
                offset, skip = load(bias, (block, 0)), load(D, (block, 0))
                for t in range(count):
                    u_t = load_first(u, (row, first + t, channel), lanes)
                    step = load_first(delta, (row, first + t, channel), lanes) + offset
                    if smooth:
                        step = softplus(step)
                    store(lines, line(STEP, t), step)
                    store(lines, line(WRITTEN, t), step * u_t)
                    store(lines, line(OUTPUT, t), skip * u_t)
                for n in range(0, decay.shape[1], UNROLL):
                    fetch(u, row, first, count, block, n, 0, decay.shape[1])
                    fetch(delta, row, first, count, block, n, 1, decay.shape[1])
                    fetch(y, row, first, count, block, n, 2, decay.shape[1])
                    if gated:
                        fetch(z, row, first, count, block, n, 3, decay.shape[1])
                    a = load_quad(decay, (block, n, 0))
                    h = load_quad(states, (row, slot, block, n, 0))
                    for run in range(number):
                        if run > 0 or fresh:
                            h = zero_quad()
                        h = advance(a, h, B, C, row, first, runs[run], runs[run + 1], n, lines)
                    store(states, (row, slot + keep, block, n, 0), h)
                for t in range(count):
                    y_t = load(lines, line(OUTPUT, t))
                    if gated:
                        gate = load_first(z, (row, first + t, channel), lanes)
                        y_t = y_t * gate * sigmoid(gate)
                    health = fma(y_t, broadcast(ZERO), health)
                    store_first(y, (row, first + t, channel), y_t, lanes)
    return total(health)


@njit(forceinline=True)
def prepare(u, delta, z, D, bias, grad_y, gated, smooth, row, first, count, block, lanes, lines):
    """Fill the lines of a chunk: what the forward computed once a token, and the gradient before the gate."""
    zero, channel = broadcast(ZERO), block * LANES
    offset, skip = load(bias, (block, 0)), load(D, (block, 0))
    for t in range(count):
        u_t = load_first(u, (row, first + t, channel), lanes)
        step = load_first(delta, (row, first + t, channel), lanes) + offset
        if smooth:
            step, slope = softplus_and_slope(step)
            store(lines, line(STEP_SLOPE, t), slope)
        grad = load_first(grad_y, (row, first + t, channel), lanes)
        if gated:
            gate, slope = silu_and_slope(load_first(z, (row, first + t, channel), lanes))
            store(lines, line(GATE_SLOPE, t), grad * slope)
            grad = grad * gate
        store(lines, line(STEP, t), step)
        store(lines, line(WRITTEN, t), step * u_t)
        store(lines, line(OUTPUT, t), skip * u_t)
        store(lines, line(GRAD_OUTPUT, t), grad)
        store(lines, line(GRAD_WRITTEN, t), zero)
        store(lines, line(GRAD_EXPONENT, t), zero)


@njit(forceinline=True)
def recompute(a, h, B, C, row, first, begin, end, n, states, lines, tiles, sums):
    """`advance`, keeping what the way back needs (DECAY and CARRIED = decay h), and gathering GRAD_C."""
    for t in range(begin, end):
        decay = exp2(load(lines, line(STEP, t)) * a)
        carried = decay * h
        store(tiles, tile(DECAY, t), decay)
        store(tiles, tile(CARRIED, t), carried)
        h = fma(load(lines, line(WRITTEN, t)), columns(B, (row, first + t, n)), carried)
        store(lines, line(OUTPUT, t), dot(h, columns(C, (row, first + t, n)), load(lines, line(OUTPUT, t))))
        grad_c = fma(load(lines, line(GRAD_OUTPUT, t)), h, load_quad(sums, place(GRAD_C, t, n, states)))
        store(sums, place(GRAD_C, t, n, states), grad_c)
    return h


@njit(forceinline=True)
def retreat(a, g, grad_a, B, C, row, first, begin, end, n, states, lines, tiles, sums):
    """Carry the gradient g of four states back over tokens end to begin, gathering those of A, B, step and written."""
    for t in range(end - 1, begin - 1, -1):
        g = fma(load(lines, line(GRAD_OUTPUT, t)), columns(C, (row, first + t, n)), g)
        grad_b = fma(load(lines, line(WRITTEN, t)), g, load_quad(sums, place(GRAD_B, t, n, states)))
        store(sums, place(GRAD_B, t, n, states), grad_b)
        grad_written = dot(g, columns(B, (row, first + t, n)), load(lines, line(GRAD_WRITTEN, t)))
        store(lines, line(GRAD_WRITTEN, t), grad_written)
        exponent = g * load_quad(tiles, tile(CARRIED, t))
        store(lines, line(GRAD_EXPONENT, t), dot(exponent, a, load(lines, line(GRAD_EXPONENT, t))))
        grad_a = fma(load(lines, line(STEP, t)), exponent, grad_a)
        g = g * load_quad(tiles, tile(DECAY, t))
    return g, grad_a


@njit(forceinline=True)
def store_gradients(
    u, D, gated, smooth, grad_u, grad_delta, grad_z, parameters, row, first, count, block, lanes, lines
):
    """Turn a chunk's gathered gradients into those of u, delta, z, D and bias."""
    skip, channel = load(D, (block, 0)), block * LANES
    states = parameters.shape[2] - 2
    grad_skip, grad_bias = broadcast(ZERO), broadcast(ZERO)
    for t in range(count):
        u_t, grad = load_first(u, (row, first + t, channel), lanes), load(lines, line(GRAD_OUTPUT, t))
        grad_written = load(lines, line(GRAD_WRITTEN, t))
        # decay is exp2(step a), so what gathered there lacks the derivative's factor log(2).
        grad_step = fma(broadcast(LN_2), load(lines, line(GRAD_EXPONENT, t)), grad_written * u_t)
        if smooth:
            grad_step = grad_step * load(lines, line(STEP_SLOPE, t))
        grad_skip, grad_bias = fma(grad, u_t, grad_skip), grad_bias + grad_step
        grad_u_t = fma(skip, grad, load(lines, line(STEP, t)) * grad_written)
        store_first(grad_u, (row, first + t, channel), grad_u_t, lanes)
        store_first(grad_delta, (row, first + t, channel), grad_step, lanes)
        if gated:
            grad_gate = load(lines, line(OUTPUT, t)) * load(lines, line(GATE_SLOPE, t))
            store_first(grad_z, (row, first + t, channel), grad_gate, lanes)
    add_line(parameters, block, states, grad_skip)
    add_line(parameters, block, states + 1, grad_bias)


@njit(forceinline=True)
def sum_channels(sums, row, first, count, states, grad_B, grad_C):
    """Write a chunk's gradients of B and C, summing the lanes."""
    for t in range(count):
        for n in range(states):
            grad_B[row, first + t, n] = total(load(sums, place(GRAD_B, t, n, states)))
            grad_C[row, first + t, n] = total(load(sums, place(GRAD_C, t, n, states)))


def scan_backward(
    rows, span, u, delta, decay, B, C, D, z, bias, gated, smooth, resets, states, grad_y, adjoint,
    grad_u, grad_delta, grad_z, grad_B, grad_C, parameters, lines, tiles, sums, runs,
):  # fmt: skip
    """Write the gradients of u, delta, z, B and C; add those of A, D and bias to `parameters`.

    states as `scan_forward` left it with `keep` = 1. adjoint (batch, blocks, states, LANES) holds the gradient of the
    final state and is left with that of the initial one. parameters (2, blocks, states + 2, LANES) holds sums, of A's
    rows, D and bias, and what rounding took from them.
    """
    length, channels = u.shape[1], u.shape[2]
    for row in range(rows[0], rows[1]):
        for chunk in range((length - 1) // CHUNK, -1, -1):
            first = chunk * CHUNK
            count = min(CHUNK, length - first)
            number, fresh = find_runs(resets, row, first, count, runs)
            sums[:] = ZERO
            for block in range(span[0], span[1]):
                channel = block * LANES
                lanes = min(LANES, channels - channel)
                prepare(u, delta, z, D, bias, grad_y, gated, smooth, row, first, count, block, lanes, lines)
                for n in range(0, decay.shape[1], UNROLL):
                    fetch(u, row, first, count, block, n, 0, decay.shape[1])
                    fetch(delta, row, first, count, block, n, 1, decay.shape[1])
                    fetch(grad_y, row, first, count, block, n, 2, decay.shape[1])
                    if gated:
                        fetch(z, row, first, count, block, n, 3, decay.shape[1])
                    a = load_quad(decay, (block, n, 0))
                    h = load_quad(states, (row, chunk, block, n, 0))
                    for run in range(number):
                        if run > 0 or fresh:
                            h = zero_quad()
                        h = recompute(a, h, B, C, row, first, runs[run], runs[run + 1], n, decay.shape[1], lines, tiles, sums)
                    fetch(grad_u, row, first, count, block, n, 0, decay.shape[1])
                    fetch(grad_delta, row, first, count, block, n, 1, decay.shape[1])
                    if gated:
                        fetch(grad_z, row, first, count, block, n, 2, decay.shape[1])
                    g, grad_a = load_quad(adjoint, (row, block, n, 0)), zero_quad()
                    for run in range(number - 1, -1, -1):
                        g, grad_a = retreat(
                            a, g, grad_a, B, C, row, first, runs[run], runs[run + 1], n, decay.shape[1], lines, tiles, sums
                        )
                        if run > 0 or fresh:
                            g = zero_quad()
                    store(adjoint, (row, block, n, 0), g)
                    add_lines(parameters, block, n, grad_a)
                store_gradients(
                    u, D, gated, smooth, grad_u, grad_delta, grad_z, parameters, row, first, count, block, lanes, lines
                )  # fmt: skip
            sum_channels(sums, row, first, count, decay.shape[1], grad_B, grad_C)
