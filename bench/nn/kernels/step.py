"""The compiled recurrence over one token: the convolution's step and the scan's, each in place.

Arguments, float32, as in `bench.nn.kernels.convolution` and `bench.nn.kernels.scan_forward` less the length:
x, u, delta, z, y (batch, channels); B, C (batch, states); gated: whether there is a z. A window is
(batch, blocks, TAPS, LANES), the newest token last; a state (batch, blocks, states, LANES).
"""

# numba compiles what is below; its intrinsics take an argument less than they declare.
# mypy: ignore-errors

from __future__ import annotations

from numba import float32, njit, types

from bench.nn.kernels.arithmetic import dot, exp2, fma, push
from bench.nn.kernels.denormals import flush_denormals, restore_denormals
from bench.nn.kernels.functions import sigmoid, softplus
from bench.nn.kernels.memory import columns, load, load_first, load_quad, store, store_first
from bench.nn.kernels.vector import LANES, UNROLL

TOKEN, CHANNELS, WEIGHTS, STATE = float32[:, :], float32[:, ::1], float32[:, :, ::1], float32[:, :, :, ::1]
CONVOLUTION_SIGNATURE = types.void(TOKEN, STATE, WEIGHTS, CHANNELS, TOKEN)
SCAN_SIGNATURE = types.void(
    TOKEN, TOKEN, WEIGHTS, TOKEN, TOKEN, CHANNELS, TOKEN, CHANNELS, types.boolean, STATE, TOKEN
)


def convolution_step(x, windows, weight, bias, u):
    """Compute u, the SiLU of the convolution at the token x, and shift x into the windows."""
    for row in range(x.shape[0]):
        for block in range(windows.shape[1]):
            lanes = min(LANES, x.shape[1] - block * LANES)
            newest = load_first(x, (row, block * LANES), lanes)
            window = push(load_quad(windows, (row, block, 0, 0)), newest)
            store(windows, (row, block, 0, 0), window)
            value = dot(load_quad(weight, (block, 0, 0)), window, load(bias, (block, 0)))
            store_first(u, (row, block * LANES), value * sigmoid(value), lanes)


@njit(forceinline=True)
def advance_states(decay, step, written, output, B, C, states, row, block):
    """Advance the states of one channel block and return `output` plus C h."""
    for n in range(0, decay.shape[1], UNROLL):
        h = load_quad(states, (row, block, n, 0))
        h = fma(exp2(step * load_quad(decay, (block, n, 0))), h, written * columns(B, (row, n)))
        store(states, (row, block, n, 0), h)
        output = dot(h, columns(C, (row, n)), output)
    return output


def scan_step(u, delta, decay, B, C, D, z, bias, gated, states, y):
    """Compute y, gated by z if there is one, and advance the states."""
    mode = flush_denormals()
    for row in range(u.shape[0]):
        for block in range(states.shape[1]):
            place, lanes = (row, block * LANES), min(LANES, u.shape[1] - block * LANES)
            u_t = load_first(u, place, lanes)
            step = softplus(load_first(delta, place, lanes) + load(bias, (block, 0)))
            output = load(D, (block, 0)) * u_t
            output = advance_states(decay, step, step * u_t, output, B, C, states, row, block)
            if gated:
                gate = load_first(z, place, lanes)
                output = output * gate * sigmoid(gate)
            store_first(y, place, output, lanes)
    restore_denormals(mode)
