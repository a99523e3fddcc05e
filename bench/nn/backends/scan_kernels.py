"""The compiled selective scan: forward and backward over sixteen channels and four states at a time.

Loops run over batch row, chunk of CHUNK tokens, block of LANES channels, four states, and tokens innermost: the states
live in registers, a chunk's intermediate values in the first-level cache, and nothing of size (batch, length, channels,
states) anywhere. The forward keeps the state before each chunk; the backward recomputes the chunk from there and then
walks it in reverse. States and A are stored (states, channels), so that lanes lie along memory.

Array arguments are float32. `states` is a multiple of UNROLL, `wide` the channels rounded up to whole blocks.
u, delta, z, y, and gradients of them: (batch, length, channels), last axis contiguous. B, C: (batch, length, states).
decay, A log2(e) transposed: (states, wide). D, bias: (1, wide). resets: (batch, length) uint8, or (0, 0) for none.
rows and blocks are half-open ranges of batch rows and channel blocks: one call's share of the work.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from numba import njit, types

from bench.nn.backends.vector import LANES, UNROLL, dot, exp2, fma, total
from bench.nn.backends.vector_math import ZERO, sigmoid, silu_gradient, softplus
from bench.nn.backends.vector_memory import (
    broadcast,
    columns,
    load,
    load_first,
    load_quad,
    store,
    store_first,
    zero_quad,
)

CHUNK = 16
LN_2 = types.float32(0.6931471805599453)

# First index of `lines` (LINES, CHUNK, LANES), a chunk's values by channel, and of `tiles` (2, CHUNK, UNROLL, LANES).
STEP, WRITTEN, OUTPUT, GRAD_OUTPUT, GRAD_WRITTEN, GRAD_EXPONENT, LINES = 0, 1, 2, 3, 4, 5, 6
DECAY, CARRIED = 0, 1
# First index of `sums` (2, CHUNK, states, LANES), a chunk's gradients by state, not yet summed over channels.
GRAD_B, GRAD_C = 0, 1
# First index of `parameters` (states + 2, wide): gradients of decay's rows, then of D and of bias.
GRAD_D, GRAD_BIAS = 0, 1


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
def load_steps(u, delta, bias, smooth, row, first, count, channel, lanes, lines):
    """Fill STEP, softplus(delta + bias) where `smooth`, and WRITTEN, step u."""
    offset = load(bias, (0, channel))
    for t in range(count):
        step = load_first(delta, (row, first + t, channel), lanes) + offset
        if smooth:
            step = softplus(step)
        store(lines, (STEP, t, 0), step)
        store(lines, (WRITTEN, t, 0), step * load_first(u, (row, first + t, channel), lanes))


@njit(forceinline=True)
def load_skip(u, D, row, first, count, channel, lanes, lines):
    """Start OUTPUT at D u."""
    for t in range(count):
        u_t = load_first(u, (row, first + t, channel), lanes)
        store(lines, (OUTPUT, t, 0), load(D, (0, channel)) * u_t)


@njit(forceinline=True)
def advance(a, h, B, C, row, first, begin, end, n, lines):
    """Run four states over tokens begin to end of a chunk, adding C h to OUTPUT; returns the new states."""
    for t in range(begin, end):
        written = load(lines, (WRITTEN, t, 0)) * columns(B, (row, first + t, n))
        h = fma(exp2(load(lines, (STEP, t, 0)) * a), h, written)
        store(lines, (OUTPUT, t, 0), dot(h, columns(C, (row, first + t, n)), load(lines, (OUTPUT, t, 0))))
    return h


def scan_forward(
    rows, blocks, u, delta, decay, B, C, D, z, bias, gated, smooth, resets, y, states, keep, lines, runs
):
    """Compute y. Returns 0, or NaN where y is not finite.

    states (batch, slots, states, wide) holds the initial state in slot 0. With `keep` = 1 the state after chunk c goes
    to slot c + 1 of chunks + 1, with `keep` = 0 always to slot 0.
    """
    length, channels = u.shape[1], u.shape[2]
    health = broadcast(ZERO)
    for row in range(rows[0], rows[1]):
        for first in range(0, length, CHUNK):
            count = min(CHUNK, length - first)
            slot = first // CHUNK * keep
            number, fresh = find_runs(resets, row, first, count, runs)
            for channel in range(blocks[0] * LANES, blocks[1] * LANES, LANES):
                lanes = min(LANES, channels - channel)
                load_steps(u, delta, bias, smooth, row, first, count, channel, lanes, lines)
                load_skip(u, D, row, first, count, channel, lanes, lines)
                for n in range(0, decay.shape[0], UNROLL):
                    a = load_quad(decay, (n, channel))
                    h = load_quad(states, (row, slot, n, channel))
                    for run in range(number):
                        if run > 0 or fresh:
                            h = zero_quad()
                        h = advance(a, h, B, C, row, first, runs[run], runs[run + 1], n, lines)
                    store(states, (row, slot + keep, n, channel), h)
                for t in range(count):
                    y_t = load(lines, (OUTPUT, t, 0))
                    if gated:
                        gate = load_first(z, (row, first + t, channel), lanes)
                        y_t = y_t * gate * sigmoid(gate)
                    health = fma(y_t, broadcast(ZERO), health)
                    store_first(y, (row, first + t, channel), y_t, lanes)
    return total(health)


@njit(forceinline=True)
def load_gradient(grad_y, z, gated, row, first, count, channel, lanes, lines):
    """Fill GRAD_OUTPUT, the gradient before the gate, and clear the two rows that gather gradients over states."""
    zero = broadcast(ZERO)
    for t in range(count):
        grad = load_first(grad_y, (row, first + t, channel), lanes)
        if gated:
            gate = load_first(z, (row, first + t, channel), lanes)
            grad = grad * gate * sigmoid(gate)
        store(lines, (GRAD_OUTPUT, t, 0), grad)
        store(lines, (GRAD_WRITTEN, t, 0), zero)
        store(lines, (GRAD_EXPONENT, t, 0), zero)


@njit(forceinline=True)
def recompute(a, h, B, C, row, first, begin, end, n, lines, tiles, sums):
    """`advance`, keeping what the way back needs (DECAY and CARRIED = decay h), and gathering GRAD_C."""
    for t in range(begin, end):
        decay = exp2(load(lines, (STEP, t, 0)) * a)
        carried = decay * h
        store(tiles, (DECAY, t, 0, 0), decay)
        store(tiles, (CARRIED, t, 0, 0), carried)
        h = fma(load(lines, (WRITTEN, t, 0)), columns(B, (row, first + t, n)), carried)
        store(lines, (OUTPUT, t, 0), dot(h, columns(C, (row, first + t, n)), load(lines, (OUTPUT, t, 0))))
        grad_c = fma(load(lines, (GRAD_OUTPUT, t, 0)), h, load_quad(sums, (GRAD_C, t, n, 0)))
        store(sums, (GRAD_C, t, n, 0), grad_c)
    return h


@njit(forceinline=True)
def retreat(a, g, grad_a, B, C, row, first, begin, end, n, lines, tiles, sums):
    """Carry the gradient g of four states back over tokens end to begin, gathering those of A, B, step and written."""
    for t in range(end - 1, begin - 1, -1):
        g = fma(load(lines, (GRAD_OUTPUT, t, 0)), columns(C, (row, first + t, n)), g)
        grad_b = fma(load(lines, (WRITTEN, t, 0)), g, load_quad(sums, (GRAD_B, t, n, 0)))
        store(sums, (GRAD_B, t, n, 0), grad_b)
        grad_written = dot(g, columns(B, (row, first + t, n)), load(lines, (GRAD_WRITTEN, t, 0)))
        store(lines, (GRAD_WRITTEN, t, 0), grad_written)
        exponent = g * load_quad(tiles, (CARRIED, t, 0, 0))
        store(lines, (GRAD_EXPONENT, t, 0), dot(exponent, a, load(lines, (GRAD_EXPONENT, t, 0))))
        grad_a = fma(load(lines, (STEP, t, 0)), exponent, grad_a)
        g = g * load_quad(tiles, (DECAY, t, 0, 0))
    return g, grad_a


@njit(forceinline=True)
def store_gradients(
    u, delta, z, D, bias, grad_y, gated, smooth, grad_u, grad_delta, grad_z, parameters, row, first, count, channel,
    lanes, lines,
):  # fmt: skip
    """Turn a chunk's gathered gradients into those of u, delta, z, D and bias."""
    offset, skip = load(bias, (0, channel)), load(D, (0, channel))
    states = parameters.shape[0] - 2
    grad_skip, grad_bias = (
        load(parameters, (states + GRAD_D, channel)),
        load(parameters, (states + GRAD_BIAS, channel)),
    )
    for t in range(count):
        u_t, grad = load_first(u, (row, first + t, channel), lanes), load(lines, (GRAD_OUTPUT, t, 0))
        grad_written = load(lines, (GRAD_WRITTEN, t, 0))
        # decay is exp2(step a), so what gathered there lacks the derivative's factor log(2).
        grad_step = fma(broadcast(LN_2), load(lines, (GRAD_EXPONENT, t, 0)), grad_written * u_t)
        if smooth:
            grad_step = grad_step * sigmoid(load_first(delta, (row, first + t, channel), lanes) + offset)
        grad_skip, grad_bias = fma(grad, u_t, grad_skip), grad_bias + grad_step
        store_first(grad_u, (row, first + t, channel),
                    fma(skip, grad, load(lines, (STEP, t, 0)) * grad_written), lanes)  # fmt: skip
        store_first(grad_delta, (row, first + t, channel), grad_step, lanes)
        if gated:
            gate = load_first(z, (row, first + t, channel), lanes)
            grad_gate = load_first(grad_y, (row, first + t, channel), lanes) * load(lines, (OUTPUT, t, 0))
            store_first(
                grad_z, (row, first + t, channel), grad_gate * silu_gradient(gate, sigmoid(gate)), lanes
            )
    store(parameters, (states + GRAD_D, channel), grad_skip)
    store(parameters, (states + GRAD_BIAS, channel), grad_bias)


@njit(forceinline=True)
def sum_channels(sums, row, first, count, grad_B, grad_C):
    """Write a chunk's gradients of B and C, summing the lanes."""
    for t in range(count):
        for n in range(sums.shape[2]):
            grad_B[row, first + t, n] = total(load(sums, (GRAD_B, t, n, 0)))
            grad_C[row, first + t, n] = total(load(sums, (GRAD_C, t, n, 0)))


def scan_backward(
    rows, blocks, u, delta, decay, B, C, D, z, bias, gated, smooth, resets, states, grad_y, adjoint,
    grad_u, grad_delta, grad_z, grad_B, grad_C, parameters, lines, tiles, sums, runs,
):  # fmt: skip
    """Write the gradients of u, delta, z, B and C; add those of decay, D and bias to `parameters`.

    states as `scan_forward` left it with `keep` = 1. adjoint (batch, states, wide) holds the gradient of the final
    state and is left with that of the initial one. The gradient of decay still lacks a factor: it is that of step A
    summed against step, which is the gradient of A itself.
    """
    length, channels = u.shape[1], u.shape[2]
    for row in range(rows[0], rows[1]):
        for chunk in range((length - 1) // CHUNK, -1, -1):
            first = chunk * CHUNK
            count = min(CHUNK, length - first)
            number, fresh = find_runs(resets, row, first, count, runs)
            sums[:] = ZERO
            for channel in range(blocks[0] * LANES, blocks[1] * LANES, LANES):
                lanes = min(LANES, channels - channel)
                load_steps(u, delta, bias, smooth, row, first, count, channel, lanes, lines)
                load_skip(u, D, row, first, count, channel, lanes, lines)
                load_gradient(grad_y, z, gated, row, first, count, channel, lanes, lines)
                for n in range(0, decay.shape[0], UNROLL):
                    a = load_quad(decay, (n, channel))
                    h = load_quad(states, (row, chunk, n, channel))
                    for run in range(number):
                        if run > 0 or fresh:
                            h = zero_quad()
                        h = recompute(a, h, B, C, row, first, runs[run], runs[run + 1], n, lines, tiles, sums)
                    g = load_quad(adjoint, (row, n, channel))
                    grad_a = load_quad(parameters, (n, channel))
                    for run in range(number - 1, -1, -1):
                        g, grad_a = retreat(
                            a, g, grad_a, B, C, row, first, runs[run], runs[run + 1], n, lines, tiles, sums
                        )
                        if run > 0 or fresh:
                            g = zero_quad()
                    store(adjoint, (row, n, channel), g)
                    store(parameters, (n, channel), grad_a)
                store_gradients(
                    u, delta, z, D, bias, grad_y, gated, smooth, grad_u, grad_delta, grad_z, parameters, row, first,
                    count, channel, lanes, lines,
                )  # fmt: skip
            sum_channels(sums, row, first, count, grad_B, grad_C)
