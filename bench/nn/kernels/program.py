"""A compiled program: what a model does with the next tokens of one sequence, as a list of instructions.

A register holds a row of features for each token, padded to whole quads. It is named by where its row would
begin if there were one token; with `tokens` of them it begins at so many times that. An instruction is a row
of numbers: what it does, whether for the first token alone, the register that it reads and its width, the one
that it writes and its width, where its weights begin, and what else it needs:

| operation | does                                              | needs                              |
|-----------|---------------------------------------------------|------------------------------------|
| AFFINE    | target = weights source + biases                  | inputs                             |
| NORM      | target = norm of source                           | whether a layer norm               |
| ACTIVATE  | source = its activation                           | which                              |
| ADD       | target += source                                  |                                    |
| PLACE     | target, so many floats further on, = first source | floats                             |
| LOOK_UP   | target = the row of a table that source names     |                                    |
| MIX       | target = a selective mixer's inner part of source | channels, rank, states, memory,    |
|           |                                                   | registers                          |
| ATTEND    | target = attention from source over the cache     | heads, width, memory, cache        |

Weights, memory and registers are flat, so that a call has few arguments, whatever the number of layers.
"""

# numba compiles what is below; its intrinsics take an argument less than they declare.
# mypy: ignore-errors

from __future__ import annotations

from numba import float32, int64, njit, types

from bench.nn.kernels.attention import attend
from bench.nn.kernels.convolution import TAPS
from bench.nn.kernels.denormals import flush_denormals, restore_denormals
from bench.nn.kernels.dense import QUAD_WIDTH, activate, add, affine, copy, normalise
from bench.nn.kernels.step import convolution_step, scan_step
from bench.nn.kernels.vector import LANES

AFFINE, NORM, ACTIVATE, ADD, PLACE, LOOK_UP, MIX, ATTEND = range(8)
FIELDS = 12
FLAT = float32[::1]
SIGNATURE = types.void(int64[:, ::1], FLAT, FLAT, FLAT, FLAT, int64, int64, int64)

_convolution_step, _scan_step = njit(convolution_step), njit(scan_step)


@njit(forceinline=True)
def padded(features):
    """Features of a register's row, of which so many are used."""
    return (features + QUAD_WIDTH - 1) // QUAD_WIDTH * QUAD_WIDTH


@njit(forceinline=True)
def lines(flat, at, blocks, rows):
    """(blocks, rows, LANES) of a flat array from `at` on."""
    return flat[at : at + blocks * rows * LANES].reshape(blocks, rows, LANES)


@njit(forceinline=True)
def rows_of(registers, at, width, tokens):
    """(tokens, width) of the registers from `at` on."""
    return registers[at : at + tokens * width].reshape(tokens, width)


@njit
def scan_tokens(u, delta, projected, xz, rank, states, weights, at, state, y):
    """Scan token after token; u, delta, y (tokens, channels), projected holds the low-rank step, B and C."""
    channels = u.shape[1]
    blocks = (channels + LANES - 1) // LANES
    bias = lines(weights, at, blocks, 1).reshape(blocks, LANES)
    decay = lines(weights, at + blocks * LANES, blocks, states)
    D = lines(weights, at + blocks * (1 + states) * LANES, blocks, 1).reshape(blocks, LANES)
    gated, begin = xz.shape[1] > padded(channels), xz.shape[1] - padded(channels)
    for token in range(len(u)):
        t = slice(token, token + 1)
        B, C = projected[t, rank : rank + states], projected[t, rank + states : rank + 2 * states]
        z = xz[t, begin : begin + channels]
        _scan_step(u[t], delta[t], decay, B, C, D, z, bias, gated, state, y[t])


@njit
def mix(registers, source, width, target, weights, at, numbers, memory, tokens):
    """Convolution, SiLU, x_proj, dt_proj, scan and gate of a selective mixer."""
    channels, rank, states, held, room = numbers[7], numbers[8], numbers[9], numbers[10], numbers[11]
    blocks, wide, line = (channels + LANES - 1) // LANES, padded(channels), padded(rank + 2 * states)
    room = room * tokens
    projected_at, delta_at = room + wide * tokens, room + (wide + line) * tokens
    u, delta = rows_of(registers, room, wide, tokens), rows_of(registers, delta_at, wide, tokens)
    xz, y = rows_of(registers, source, width, tokens), rows_of(registers, target, wide, tokens)
    window = lines(memory, held, blocks, TAPS).reshape(1, blocks, TAPS, LANES)
    taps = lines(weights, at, blocks, TAPS)
    at += blocks * TAPS * LANES
    bias = lines(weights, at, blocks, 1).reshape(blocks, LANES)
    at += blocks * LANES
    for token in range(tokens):
        t = slice(token, token + 1)
        _convolution_step(xz[t, :channels], window, taps, bias, u[t, :channels])
    affine(registers, room, wide, channels, projected_at, line, weights, at, tokens)
    at += (channels + 1) * line
    affine(registers, projected_at, line, rank, delta_at, wide, weights, at, tokens)
    at += (rank + 1) * wide
    state = lines(memory, held + blocks * TAPS * LANES, blocks, states).reshape(1, blocks, states, LANES)
    projected = rows_of(registers, projected_at, line, tokens)
    scan_tokens(u[:, :channels], delta[:, :channels], projected, xz, rank, states, weights, at, state,
                y[:, :channels])  # fmt: skip


@njit
def attend_tokens(registers, source, stride, target, wide, scale, numbers, memory, logits, tokens, tiles,
                  position):  # fmt: skip
    """Attention of one token after the other."""
    heads, width, held, cache = numbers[7], numbers[8], numbers[9], numbers[10]
    at = held + tiles * cache
    for token in range(tokens):
        row, place = source + token * stride, target + token * wide
        attend(registers, row, width, heads, scale, memory, at, position + token, logits, place)


def run_program(code, weights, memory, registers, logits, tokens, position, tiles):
    """Read `tokens` tokens, whose inputs stand in the registers; what is made of them stands there after it.

    code (instructions, FIELDS) int64, all else float32. `position` tokens were read before; the attention
    caches in `memory` have `tiles` tiles of LANES tokens each, and `logits` has room for one tile more.
    """
    mode = flush_denormals()
    for instruction in range(len(code)):
        numbers = code[instruction]
        rows = 1 if numbers[1] else tokens
        source, width, target, wide = numbers[2] * tokens, numbers[3], numbers[4] * tokens, numbers[5]
        operation, at = numbers[0], numbers[6]
        if operation == AFFINE:
            affine(registers, source, width, numbers[7], target, wide, weights, at, rows)
        elif operation == NORM:
            normalise(registers, source, target, width, weights, at, numbers[7] != 0, rows)
        elif operation == ACTIVATE:
            activate(registers, source, width * rows, numbers[7])
        elif operation == ADD:
            add(registers, source, target, width * rows)
        elif operation == PLACE:
            copy(registers, source, registers, target + numbers[7], width)
        elif operation == LOOK_UP:
            copy(weights, at + int(registers[source]) * wide, registers, target, wide)
        elif operation == MIX:
            mix(registers, source, width, target, weights, at, numbers, memory, rows)
        else:
            scale = weights[at]
            attend_tokens(registers, source, width, target, wide, scale, numbers, memory, logits, rows, tiles,
                          position)  # fmt: skip
    restore_denormals(mode)
