"""The selective scan in Triton: one program runs a group of channels of one batch row through time.

Symbols are those of `bench.nn.scan`. A program holds the state of its channels as a tile (CHANNELS, WIDTH),
WIDTH being the number of states rounded up to a power of two; what lies beyond is masked. u, delta, z, B, C
and the gradient of y come with the strides of a batch row and of a token, neighbouring channels side by side;
every other tensor is contiguous. An absent tensor is None, which Triton compiles away.

Nothing is added atomically: sums over tokens are made within a program, and those over programs are left to
the caller. So equal input gives equal bits.
"""

# Triton reads the annotations of a kernel as part of its code, so that none can be given for mypy.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
# Sizes that change from call to call; a kernel is not compiled anew for some values of them.
SIZES = ["length", "chunks", "rows", "blocks"]


@triton.jit
def softplus(x):
    """log(1 + exp(x)), accurate relative to itself: log(1 + e) = 2 artanh(e / (2 + e)), e = exp(-|x|)."""
    e = tl.exp(-tl.abs(x))
    ratio = e / (2.0 + e)
    square = ratio * ratio
    # The series of artanh(s) / s; s is at most 1/3, and the first term left out is below 2e-9.
    series = 1 / 13 + square * (1 / 15)
    series = 1 / 9 + square * (1 / 11 + square * series)
    series = 1 / 5 + square * (1 / 7 + square * series)
    series = 1.0 + square * (1 / 3 + square * series)
    return tl.maximum(x, 0.0) + 2.0 * ratio * series


@triton.jit
def line(pointer, inside):
    """Values at `pointer` in float32, 0 where not `inside`."""
    return tl.load(pointer, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def line_or_zero(pointer, offsets, inside):
    """`line` of a tensor that may be absent, zero then."""
    if pointer is None:
        return tl.zeros(offsets.shape, tl.float32)
    else:
        return line(pointer + offsets, inside)


@triton.jit
def decay_of(step, A, resets, token):
    """exp(step A), (CHANNELS, WIDTH), and zero at a token that begins a trajectory."""
    decay = tl.exp2((step * LOG2_E)[:, None] * A)
    if resets is not None:
        decay = tl.where(tl.load(resets + token) != 0, 0.0, decay)
    return decay


@triton.jit(do_not_specialize=SIZES)
def scan_forward(
    u, delta, z, B, C, A, D, delta_bias, initial, resets,
    y, final, saved,
    u_row, u_token, delta_row, delta_token, z_row, z_token,
    B_row, B_token, C_row, C_token,
    length, channels, chunks,
    STATES: tl.constexpr, WIDTH: tl.constexpr, CHANNELS: tl.constexpr, CHUNK: tl.constexpr,
    SOFTPLUS: tl.constexpr,
):  # fmt: skip
    """Write y (batch, length, channels), and if they are asked for the final state (batch, channels, states)
    and the state before every CHUNK tokens, saved (batch, chunks, channels, states).
    """
    row = tl.program_id(0).to(tl.int64)
    channel, state = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS), tl.arange(0, WIDTH)
    is_channel, is_state = channel < channels, state < STATES
    tile, inside = channel[:, None] * STATES + state[None, :], is_channel[:, None] & is_state[None, :]
    per_row = channels * STATES
    decays = line(A + tile, inside)
    skip = line_or_zero(D, channel, is_channel)
    bias = line_or_zero(delta_bias, channel, is_channel)
    h = line_or_zero(initial, row * per_row + tile, inside)
    for chunk in range(chunks):
        if saved is not None:
            tl.store(saved + (row * chunks + chunk) * per_row + tile, h, mask=inside)
        for t in range(chunk * CHUNK, tl.minimum((chunk + 1) * CHUNK, length)):
            u_t = line(u + row * u_row + t * u_token + channel, is_channel)
            step = line(delta + row * delta_row + t * delta_token + channel, is_channel) + bias
            if SOFTPLUS:
                step = softplus(step)
            B_t = line(B + row * B_row + t * B_token + state, is_state)
            C_t = line(C + row * C_row + t * C_token + state, is_state)
            h = decay_of(step, decays, resets, row * length + t) * h
            h += (step * u_t)[:, None] * B_t[None, :]
            y_t = tl.sum(h * C_t[None, :], axis=1) + skip * u_t
            if z is not None:
                z_t = line(z + row * z_row + t * z_token + channel, is_channel)
                y_t *= z_t * tl.sigmoid(z_t)
            tl.store(y + (row * length + t) * channels + channel, y_t, mask=is_channel)
    if final is not None:
        tl.store(final + row * per_row + tile, h, mask=inside)


@triton.jit(do_not_specialize=SIZES)
def scan_backward(
    u, delta, z, B, C, A, D, delta_bias, resets, saved,
    grad_y, grad_final, scratch,
    grad_u, grad_delta, grad_z, grad_initial, by_block, by_row,
    u_row, u_token, delta_row, delta_token, z_row, z_token,
    B_row, B_token, C_row, C_token, y_row, y_token,
    length, channels, chunks, rows, blocks,
    STATES: tl.constexpr, WIDTH: tl.constexpr, CHANNELS: tl.constexpr, CHUNK: tl.constexpr,
    SOFTPLUS: tl.constexpr,
):  # fmt: skip
    """Write the gradients of u, delta, z (batch, length, channels) and of the initial state.

    by_block (blocks, 2, batch, length, states): those of B and C, from each group of channels apart.
    by_row (batch, states + 2, channels): those of A, of D and of delta_bias, from each batch row apart.
    scratch (batch, blocks, CHUNK, CHANNELS, WIDTH) holds the states of one chunk, made again from `saved`.
    """
    row, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    channel, state = block * CHANNELS + tl.arange(0, CHANNELS), tl.arange(0, WIDTH)
    is_channel, is_state = channel < channels, state < STATES
    tile, inside = channel[:, None] * STATES + state[None, :], is_channel[:, None] & is_state[None, :]
    per_row = channels * STATES
    place = tl.arange(0, CHANNELS)[:, None] * WIDTH + state[None, :]
    scratch += (row * blocks + block) * (CHUNK * CHANNELS * WIDTH)
    decays = line(A + tile, inside)
    skip = line_or_zero(D, channel, is_channel)
    bias = line_or_zero(delta_bias, channel, is_channel)
    adjoint = line_or_zero(grad_final, row * per_row + tile, inside)
    grad_A = tl.zeros([CHANNELS, WIDTH], tl.float32)
    grad_D, grad_bias = tl.zeros([CHANNELS], tl.float32), tl.zeros([CHANNELS], tl.float32)
    for back in range(chunks):
        chunk = chunks - 1 - back
        first, last = chunk * CHUNK, tl.minimum((chunk + 1) * CHUNK, length)
        h = line(saved + (row * chunks + chunk) * per_row + tile, inside)
        for t in range(first, last):
            tl.store(scratch + (t - first) * (CHANNELS * WIDTH) + place, h)
            u_t = line(u + row * u_row + t * u_token + channel, is_channel)
            step = line(delta + row * delta_row + t * delta_token + channel, is_channel) + bias
            if SOFTPLUS:
                step = softplus(step)
            B_t = line(B + row * B_row + t * B_token + state, is_state)
            h = decay_of(step, decays, resets, row * length + t) * h
            h += (step * u_t)[:, None] * B_t[None, :]
        # A thread may read what another thread of its program has written.
        tl.debug_barrier()
        for t in range(last - 1, first - 1, -1):
            u_t = line(u + row * u_row + t * u_token + channel, is_channel)
            raw = line(delta + row * delta_row + t * delta_token + channel, is_channel) + bias
            step = raw
            if SOFTPLUS:
                step = softplus(raw)
            B_t = line(B + row * B_row + t * B_token + state, is_state)
            C_t = line(C + row * C_row + t * C_token + state, is_state)
            g = line(grad_y + row * y_row + t * y_token + channel, is_channel)
            at = (row * length + t) * channels + channel
            if z is not None:
                z_t = line(z + row * z_row + t * z_token + channel, is_channel)
                gate = tl.sigmoid(z_t)
                ungated = tl.sum(h * C_t[None, :], axis=1) + skip * u_t
                slope = gate * (1.0 + z_t * (1.0 - gate))
                tl.store(grad_z + at, g * ungated * slope, mask=is_channel)
                g *= z_t * gate
            grad_D += g * u_t
            adjoint += g[:, None] * C_t[None, :]
            of_B = by_block + ((block * 2 * rows + row) * length + t) * STATES + state
            of_C = by_block + (((block * 2 + 1) * rows + row) * length + t) * STATES + state
            tl.store(of_B, tl.sum((step * u_t)[:, None] * adjoint, axis=0), mask=is_state)
            tl.store(of_C, tl.sum(g[:, None] * h, axis=0), mask=is_state)
            grad_written = tl.sum(adjoint * B_t[None, :], axis=1)
            h = tl.load(scratch + (t - first) * (CHANNELS * WIDTH) + place)
            adjoint *= decay_of(step, decays, resets, row * length + t)
            exponent = adjoint * h  # the gradient of step A
            grad_A += exponent * step[:, None]
            grad_step = u_t * grad_written + tl.sum(exponent * decays, axis=1)
            if SOFTPLUS:
                grad_step *= tl.sigmoid(raw)
            grad_bias += grad_step
            tl.store(grad_delta + at, grad_step, mask=is_channel)
            tl.store(grad_u + at, g * skip + step * grad_written, mask=is_channel)
        tl.debug_barrier()
    sums = by_row + row * (STATES + 2) * channels
    tl.store(sums + state[None, :] * channels + channel[:, None], grad_A, mask=inside)
    tl.store(sums + STATES * channels + channel, grad_D, mask=is_channel)
    tl.store(sums + (STATES + 1) * channels + channel, grad_bias, mask=is_channel)
    if grad_initial is not None:
        tl.store(grad_initial + row * per_row + tile, adjoint, mask=inside)
