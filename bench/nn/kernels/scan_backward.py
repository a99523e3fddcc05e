"""The compiled selective scan, backward: each chunk recomputed from the state kept before it, then reversed.

Loops and arguments as in `bench.nn.kernels.scan_forward`; gradients are laid out as what they are of.
"""

# numba compiles what is below; its intrinsics take an argument less than they declare.
# mypy: ignore-errors

from __future__ import annotations

from numba import float32, njit, types

from bench.nn.kernels.arithmetic import dot, exp2, fma, zero_quad
from bench.nn.kernels.denormals import flush_denormals, restore_denormals
from bench.nn.kernels.functions import ZERO, add_line, add_lines, silu_and_slope, softplus_and_slope
from bench.nn.kernels.memory import (
    broadcast,
    columns,
    load,
    load_first,
    load_quad,
    store,
    store_first,
    store_totals,
)
from bench.nn.kernels.scan_forward import (
    CHUNK,
    GATE_SLOPE,
    GRAD_EXPONENT,
    GRAD_OUTPUT,
    GRAD_WRITTEN,
    LINES,
    OUTPUT,
    SIGNATURE_INPUTS,
    STEP,
    STEP_SLOPE,
    WRITTEN,
    fetch,
    find_runs,
    line,
)
from bench.nn.kernels.vector import LANES, UNROLL

TOKENS, BLOCKS, SCRATCH = float32[:, :, :], float32[:, :, :, ::1], float32[::1]
SIGNATURE = types.void(
    *SIGNATURE_INPUTS, float32[:, :, :, :, ::1], TOKENS, BLOCKS,
    TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, BLOCKS, SCRATCH, types.int64[::1],
)  # fmt: skip
LN_2 = types.float32(0.6931471805599453)

# After its lines the scratch array holds tiles, a chunk's values in four states, and sums, its gradients in
# all states but not yet summed over channels.
DECAY, CARRIED = 0, 1
GRAD_B, GRAD_C = 0, 1
TILES = LINES * CHUNK * LANES
SUMS = TILES + 2 * CHUNK * UNROLL * LANES


@njit(forceinline=True)
def tile(which, t):
    """Where the scratch array holds token t of a tile."""
    return (TILES + (2 * t + which) * UNROLL * LANES,)


@njit(forceinline=True)
def place(which, t, n, size):
    """Where the scratch array holds state n of token t of a sum."""
    return (SUMS + ((which * CHUNK + t) * size + n) * LANES,)


@njit(forceinline=True)
def load_chunk(u, delta, z, D, bias, grad_y, gated, smooth, row, first, count, block, lanes, scratch):
    """Fill the lines of a chunk: what the forward computed once a token, and the gradient before the gate."""
    zero, channel = broadcast(ZERO), block * LANES
    offset, skip = load(bias, (block, 0)), load(D, (block, 0))
    for t in range(count):
        u_t = load_first(u, (row, first + t, channel), lanes)
        step = load_first(delta, (row, first + t, channel), lanes) + offset
        if smooth:
            step, slope = softplus_and_slope(step)
            store(scratch, line(STEP_SLOPE, t), slope)
        grad = load_first(grad_y, (row, first + t, channel), lanes)
        if gated:
            gate, slope = silu_and_slope(load_first(z, (row, first + t, channel), lanes))
            store(scratch, line(GATE_SLOPE, t), grad * slope)
            grad = grad * gate
        store(scratch, line(STEP, t), step)
        store(scratch, line(WRITTEN, t), step * u_t)
        store(scratch, line(OUTPUT, t), skip * u_t)
        store(scratch, line(GRAD_OUTPUT, t), grad)
        store(scratch, line(GRAD_WRITTEN, t), zero)
        store(scratch, line(GRAD_EXPONENT, t), zero)


@njit(forceinline=True)
def recompute(a, h, B, C, row, first, begin, end, n, size, scratch):
    """`advance` again, keeping DECAY and CARRIED = decay h for the way back, and gathering GRAD_C."""
    for t in range(begin, end):
        decay = exp2(load(scratch, line(STEP, t)) * a)
        carried = decay * h
        store(scratch, tile(DECAY, t), decay)
        store(scratch, tile(CARRIED, t), carried)
        h = fma(load(scratch, line(WRITTEN, t)), columns(B, (row, first + t, n)), carried)
        output = load(scratch, line(OUTPUT, t))
        store(scratch, line(OUTPUT, t), dot(h, columns(C, (row, first + t, n)), output))
        gathered = load_quad(scratch, place(GRAD_C, t, n, size))
        store(scratch, place(GRAD_C, t, n, size), fma(load(scratch, line(GRAD_OUTPUT, t)), h, gathered))
    return h


@njit(forceinline=True)
def retreat(a, g, grad_a, B, C, row, first, begin, end, n, size, scratch):
    """Carry the gradient g of four states back from token end to begin, gathering those of what made them."""
    for t in range(end - 1, begin - 1, -1):
        g = fma(load(scratch, line(GRAD_OUTPUT, t)), columns(C, (row, first + t, n)), g)
        gathered = load_quad(scratch, place(GRAD_B, t, n, size))
        store(scratch, place(GRAD_B, t, n, size), fma(load(scratch, line(WRITTEN, t)), g, gathered))
        grad_written = load(scratch, line(GRAD_WRITTEN, t))
        store(scratch, line(GRAD_WRITTEN, t), dot(g, columns(B, (row, first + t, n)), grad_written))
        exponent = g * load_quad(scratch, tile(CARRIED, t))
        store(scratch, line(GRAD_EXPONENT, t), dot(exponent, a, load(scratch, line(GRAD_EXPONENT, t))))
        grad_a = fma(load(scratch, line(STEP, t)), exponent, grad_a)
        g = g * load_quad(scratch, tile(DECAY, t))
    return g, grad_a


@njit(forceinline=True)
def store_chunk(
    u, D, gated, smooth, grad_u, grad_delta, grad_z, parameters, row, first, count, block, lanes, scratch
):
    """Turn a chunk's gathered gradients into those of u, delta, z, D and bias."""
    skip, size = load(D, (block, 0)), parameters.shape[2] - 2
    grad_skip, grad_bias = broadcast(ZERO), broadcast(ZERO)
    for t in range(count):
        where = (row, first + t, block * LANES)
        u_t, grad = load_first(u, where, lanes), load(scratch, line(GRAD_OUTPUT, t))
        grad_written = load(scratch, line(GRAD_WRITTEN, t))
        # decay is exp2(step a), so what gathered there lacks the derivative's factor log(2).
        grad_step = fma(broadcast(LN_2), load(scratch, line(GRAD_EXPONENT, t)), grad_written * u_t)
        if smooth:
            grad_step = grad_step * load(scratch, line(STEP_SLOPE, t))
        grad_skip, grad_bias = fma(grad, u_t, grad_skip), grad_bias + grad_step
        store_first(grad_u, where, fma(skip, grad, load(scratch, line(STEP, t)) * grad_written), lanes)
        store_first(grad_delta, where, grad_step, lanes)
        if gated:
            grad_gate = load(scratch, line(OUTPUT, t)) * load(scratch, line(GATE_SLOPE, t))
            store_first(grad_z, where, grad_gate, lanes)
    add_line(parameters, block, size, grad_skip)
    add_line(parameters, block, size + 1, grad_bias)


@njit(forceinline=True)
def sum_channels(scratch, row, first, count, size, grad_B, grad_C):
    """Write a chunk's gradients of B and C, summing the lanes."""
    for t in range(count):
        for n in range(0, size, UNROLL):
            store_totals(grad_B, (row, first + t, n), load_quad(scratch, place(GRAD_B, t, n, size)))
            store_totals(grad_C, (row, first + t, n), load_quad(scratch, place(GRAD_C, t, n, size)))


@njit(forceinline=True)
def through_states(
    u, delta, decay, B, C, z, gated, states, grad_y, adjoint, grad_u, grad_delta, grad_z, parameters,
    row, chunk, count, block, runs, number, fresh, scratch,
):  # fmt: skip
    """Recompute and reverse one chunk of one channel block, four states at a time."""
    size, first = decay.shape[1], chunk * CHUNK
    for n in range(0, size, UNROLL):
        fetch(u, row, first, count, block, n, 0, size)
        fetch(delta, row, first, count, block, n, 1, size)
        fetch(grad_y, row, first, count, block, n, 2, size)
        if gated:
            fetch(z, row, first, count, block, n, 3, size)
        a, h = load_quad(decay, (block, n, 0)), load_quad(states, (row, chunk, block, n, 0))
        for run in range(number):
            if run > 0 or fresh:
                h = zero_quad()
            h = recompute(a, h, B, C, row, first, runs[run], runs[run + 1], n, size, scratch)
        fetch(grad_u, row, first, count, block, n, 0, size)
        fetch(grad_delta, row, first, count, block, n, 1, size)
        if gated:
            fetch(grad_z, row, first, count, block, n, 2, size)
        g, grad_a = load_quad(adjoint, (row, block, n, 0)), zero_quad()
        for run in range(number - 1, -1, -1):
            begin, end = runs[run], runs[run + 1]
            g, grad_a = retreat(a, g, grad_a, B, C, row, first, begin, end, n, size, scratch)
            if run > 0 or fresh:
                g = zero_quad()
        store(adjoint, (row, block, n, 0), g)
        add_lines(parameters, block, n, grad_a)


def scan_backward(
    rows, u, delta, decay, B, C, D, z, bias, gated, smooth, resets, states, grad_y, adjoint,
    grad_u, grad_delta, grad_z, grad_B, grad_C, parameters, scratch, runs,
):  # fmt: skip
    """Write the gradients of u, delta, z, B and C; add those of A, D and bias to `parameters`.

    states as `scan_forward` left it with `keep` = 1. adjoint (batch, blocks, states, LANES) holds the
    gradient of the final state and is left with that of the initial one. parameters (2, blocks, states + 2,
    LANES) holds sums, of A's rows, D and bias, and what rounding added to them.
    """
    mode = flush_denormals()
    for row in range(rows[0], rows[1]):
        for chunk in range((u.shape[1] - 1) // CHUNK, -1, -1):
            first, count = chunk * CHUNK, min(CHUNK, u.shape[1] - chunk * CHUNK)
            number, fresh = find_runs(resets, row, first, count, runs)
            scratch[SUMS:] = ZERO
            for block in range(decay.shape[0]):
                lanes = min(LANES, u.shape[2] - block * LANES)
                load_chunk(
                    u, delta, z, D, bias, grad_y, gated, smooth, row, first, count, block, lanes, scratch
                )
                through_states(
                    u, delta, decay, B, C, z, gated, states, grad_y, adjoint, grad_u, grad_delta, grad_z,
                    parameters, row, chunk, count, block, runs, number, fresh, scratch,
                )  # fmt: skip
                store_chunk(
                    u, D, gated, smooth, grad_u, grad_delta, grad_z, parameters, row, first, count, block,
                    lanes, scratch,
                )  # fmt: skip
            sum_channels(scratch, row, first, count, decay.shape[1], grad_B, grad_C)
    restore_denormals(mode)
