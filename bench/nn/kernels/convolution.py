"""The compiled causal depthwise convolution with its SiLU, forward and backward, over sixteen channels at a
time.

A quad holds the window of four tokens that one output sees, so at most TAPS taps fit; fewer are padded with
zero taps.

Arguments, float32: x, u and gradients of them (batch, length, channels), last axis contiguous; weight
(blocks, TAPS, LANES), the last tap meeting the token itself; bias (blocks, LANES); resets (batch, length)
uint8, or (0, 0) for none; rows, a half-open range of batch rows.
"""

# numba compiles what is below; its intrinsics take an argument less than they declare.
# mypy: ignore-errors

from __future__ import annotations

from numba import float32, njit, types

from bench.nn.kernels.arithmetic import dot, fma, push, zero_quad
from bench.nn.kernels.denormals import flush_denormals, restore_denormals
from bench.nn.kernels.functions import ZERO, add_line, add_lines, sigmoid, silu_and_slope
from bench.nn.kernels.memory import broadcast, load, load_first, load_quad, prefetch, store_first
from bench.nn.kernels.vector import LANES, UNROLL

TAPS = UNROLL
CHUNK = 32

SIGNATURE_INPUTS = (
    types.UniTuple(types.int64, 2),
    float32[:, :, :],
    float32[:, :, ::1],
    float32[:, ::1],
    types.uint8[:, ::1],
)
FORWARD_SIGNATURE = types.void(*SIGNATURE_INPUTS, float32[:, :, :])
BACKWARD_SIGNATURE = types.void(*SIGNATURE_INPUTS, float32[:, :, :], float32[:, :, :], float32[:, :, :, ::1])


@njit(forceinline=True)
def begins(resets, row, t):
    """Whether token t begins a trajectory."""
    return resets.shape[0] > 0 and resets[row, t] != 0


@njit(forceinline=True)
def window_before(x, resets, row, t, channel, lanes):
    """The window of token t - 1, which token t will shift."""
    window = zero_quad()
    for earlier in range(max(0, t - TAPS + 1), t):
        if begins(resets, row, earlier):
            window = zero_quad()
        window = push(window, load_first(x, (row, earlier, channel), lanes))
    return window


@njit(forceinline=True)
def window_after(gradient, resets, row, t, channel, lanes):
    """The gradients of the tokens after t - 1 that see it, the furthest first."""
    window = zero_quad()
    for later in range(min(gradient.shape[1], t + TAPS - 1) - 1, t - 1, -1):
        window = push(window, load_first(gradient, (row, later, channel), lanes))
        if begins(resets, row, later):
            window = zero_quad()
    return window


def convolution_forward(rows, x, weight, bias, resets, u):
    """Compute u, the SiLU of the convolution of x."""
    mode = flush_denormals()
    length, channels = x.shape[1], x.shape[2]
    for row in range(rows[0], rows[1]):
        for first in range(0, length, CHUNK):
            for block in range(weight.shape[0]):
                channel = block * LANES
                lanes = min(LANES, channels - channel)
                taps, offset = load_quad(weight, (block, 0, 0)), load(bias, (block, 0))
                window = window_before(x, resets, row, first, channel, lanes)
                for t in range(first, min(length, first + CHUNK)):
                    if begins(resets, row, t):
                        window = zero_quad()
                    window = push(window, load_first(x, (row, t, channel), lanes))
                    value = dot(taps, window, offset)
                    store_first(u, (row, t, channel), value * sigmoid(value), lanes)
                    prefetch(x, (row, t, channel + LANES))
    restore_denormals(mode)


@njit(forceinline=True)
def through_silu(x, weight, bias, resets, gradient, parameters, row, first, last, block, lanes):
    """Turn the gradient of u into that of the convolution over a chunk, and add those of weight and bias."""
    channel = block * LANES
    taps, offset = load_quad(weight, (block, 0, 0)), load(bias, (block, 0))
    grad_taps, grad_offset = zero_quad(), broadcast(ZERO)
    window = window_before(x, resets, row, first, channel, lanes)
    for t in range(first, last):
        if begins(resets, row, t):
            window = zero_quad()
        window = push(window, load_first(x, (row, t, channel), lanes))
        _, slope = silu_and_slope(dot(taps, window, offset))
        slope = slope * load_first(gradient, (row, t, channel), lanes)
        store_first(gradient, (row, t, channel), slope, lanes)
        grad_taps, grad_offset = fma(slope, window, grad_taps), grad_offset + slope
        prefetch(x, (row, t, channel + LANES))
        prefetch(gradient, (row, t, channel + LANES))
    add_lines(parameters, block, 0, grad_taps)
    add_line(parameters, block, TAPS, grad_offset)


def convolution_backward(rows, x, weight, bias, resets, gradient, grad_x, parameters):
    """Write grad_x and add the gradients of weight and bias to `parameters`.

    gradient holds that of u and is left with that of the convolution. parameters (2, blocks, TAPS + 1, LANES)
    holds sums and what rounding took from them.
    """
    mode = flush_denormals()
    length, channels = x.shape[1], x.shape[2]
    for row in range(rows[0], rows[1]):
        for chunk in range((length - 1) // CHUNK, -1, -1):
            first, last = chunk * CHUNK, min(length, (chunk + 1) * CHUNK)
            for block in range(weight.shape[0]):
                channel = block * LANES
                lanes = min(LANES, channels - channel)
                through_silu(x, weight, bias, resets, gradient, parameters, row, first, last, block, lanes)
                taps = load_quad(weight, (block, 0, 0))
                window = window_after(gradient, resets, row, last, channel, lanes)
                for t in range(last - 1, first - 1, -1):
                    window = push(window, load_first(gradient, (row, t, channel), lanes))
                    store_first(grad_x, (row, t, channel), dot(taps, window, broadcast(ZERO)), lanes)
                    if begins(resets, row, t):
                        window = zero_quad()
                    prefetch(grad_x, (row, t, channel + LANES))
    restore_denormals(mode)
