"""The compiled causal depthwise convolution with its SiLU, forward and backward, over sixteen channels at a time.

Arguments, float32: x, u and gradients of them (batch, length, channels), last axis contiguous; weight
(blocks, taps, LANES), the last tap meeting the token itself; bias (blocks, LANES); resets (batch, length) uint8, or
(0, 0) for none; rows, a half-open range of batch rows.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from numba import njit

from bench.nn.kernels.functions import ZERO, sigmoid, silu_and_slope
from bench.nn.kernels.memory import add_line, broadcast, load, load_first, store, store_first
from bench.nn.kernels.vector import LANES, fma

CHUNK = 32


@njit(forceinline=True)
def reach_back(resets, row, t, taps):
    """How many tokens before t its convolution sees."""
    reach = 0
    while reach < taps - 1 and reach < t and (resets.shape[0] == 0 or resets[row, t - reach] == 0):
        reach += 1
    return reach


@njit(forceinline=True)
def convolve(x, weight, bias, row, t, reach, block, lanes):
    """The convolution of one channel block at token t, before the SiLU."""
    value = load(bias, (block, 0))
    last = weight.shape[1] - 1
    for lag in range(reach + 1):
        tap = load(weight, (block, last - lag, 0))
        value = fma(tap, load_first(x, (row, t - lag, block * LANES), lanes), value)
    return value


def convolution_forward(rows, x, weight, bias, resets, u):
    """Compute u, the SiLU of the convolution of x."""
    length, channels = x.shape[1], x.shape[2]
    for row in range(rows[0], rows[1]):
        for t in range(length):
            reach = reach_back(resets, row, t, weight.shape[1])
            for block in range(weight.shape[0]):
                lanes = min(LANES, channels - block * LANES)
                value = convolve(x, weight, bias, row, t, reach, block, lanes)
                store_first(u, (row, t, block * LANES), value * sigmoid(value), lanes)


@njit(forceinline=True)
def gather_parameters(x, slope, row, t, reach, block, lanes, gathered):
    """Add one token's gradients of weight and bias to `gathered` (taps + 1, LANES)."""
    last = gathered.shape[0] - 2
    for lag in range(reach + 1):
        x_t = load_first(x, (row, t - lag, block * LANES), lanes)
        store(gathered, (last - lag, 0), fma(slope, x_t, load(gathered, (last - lag, 0))))
    store(gathered, (last + 1, 0), load(gathered, (last + 1, 0)) + slope)


def convolution_backward(rows, x, weight, bias, resets, gradient, grad_x, parameters, gathered):
    """Write grad_x and add the gradients of weight and bias to `parameters`.

    gradient holds that of u and is left with that of the convolution. parameters (2, blocks, taps + 1, LANES) holds
    sums and what rounding took from them.
    """
    length, channels, taps = x.shape[1], x.shape[2], weight.shape[1]
    for row in range(rows[0], rows[1]):
        for chunk in range((length - 1) // CHUNK, -1, -1):
            for block in range(weight.shape[0]):
                channel = block * LANES
                lanes = min(LANES, channels - channel)
                for tap in range(taps + 1):
                    store(gathered, (tap, 0), broadcast(ZERO))
                for t in range(min(length, (chunk + 1) * CHUNK) - 1, chunk * CHUNK - 1, -1):
                    reach = reach_back(resets, row, t, taps)
                    value, slope = silu_and_slope(convolve(x, weight, bias, row, t, reach, block, lanes))
                    slope = slope * load_first(gradient, (row, t, channel), lanes)
                    store_first(gradient, (row, t, channel), slope, lanes)
                    gather_parameters(x, slope, row, t, reach, block, lanes, gathered)
                    total = slope * load(weight, (block, taps - 1, 0))
                    for lag in range(1, min(taps, length - t)):
                        if resets.shape[0] > 0 and resets[row, t + lag] != 0:
                            break
                        later = load_first(gradient, (row, t + lag, channel), lanes)
                        total = fma(later, load(weight, (block, taps - 1 - lag, 0)), total)
                    store_first(grad_x, (row, t, channel), total, lanes)
                for tap in range(taps + 1):
                    add_line(parameters, block, tap, load(gathered, (tap, 0)))
