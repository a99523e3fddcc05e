"""What the kernels share: the pointwise functions of a Mamba mixer, and compensated sums."""

# numba compiles what is below; its intrinsics take an argument less than they declare.
# mypy: ignore-errors

from __future__ import annotations

from numba import njit, types
from numba.extending import intrinsic

from bench.nn.kernels.arithmetic import absolute, exp2, fma, positive, where_negative
from bench.nn.kernels.code import Intrinsic, Type, TypingContext
from bench.nn.kernels.memory import broadcast, load, load_quad, store
from bench.nn.kernels.vector import polynomial, vector

MINUS_LOG2_E = types.float32(-1.4426950408889634)
ZERO, ONE, TWO = types.float32(0.0), types.float32(1.0), types.float32(2.0)

# Minimax in relative error: atanh(s) / s in s^2 on [0, 1/9] to 4e-9.
ATANH_COEFFICIENTS = (1.0, 0.333331573411, 0.200124551398, 0.139803013736, 0.140891675434)


@intrinsic
def _atanh_ratio(typing_context: TypingContext, square: Type) -> Intrinsic:
    return vector(vector), lambda context, builder, sig, args: polynomial(
        builder, ATANH_COEFFICIENTS, args[0]
    )


@njit(forceinline=True)
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    one = broadcast(ONE)
    return one / (one + exp2(x * broadcast(MINUS_LOG2_E)))


@njit(forceinline=True)
def softplus(x):
    """log(1 + exp(x)), accurate relative to itself for any x, by log(1 + e) = 2 atanh(e / (2 + e))."""
    e = exp2(absolute(x) * broadcast(MINUS_LOG2_E))
    ratio = e / (broadcast(TWO) + e)
    return fma(ratio + ratio, _atanh_ratio(ratio * ratio), positive(x))


@njit(forceinline=True)
def softplus_and_slope(x):
    """softplus(x) and its derivative sigmoid(x), for one exponential and one division."""
    one, two = broadcast(ONE), broadcast(TWO)
    e = exp2(absolute(x) * broadcast(MINUS_LOG2_E))
    inverse = one / ((one + e) * (two + e))
    ratio = e * (one + e) * inverse
    slope = where_negative(x, e, one) * (two + e) * inverse
    return fma(ratio + ratio, _atanh_ratio(ratio * ratio), positive(x)), slope


@njit(forceinline=True)
def silu_and_slope(x):
    """X sigmoid(x) and its derivative."""
    one = broadcast(ONE)
    s = sigmoid(x)
    return x * s, s * fma(x, one - s, one)


@njit(forceinline=True)
def compensated(before, loss, value):
    """Kahan's summation: return before + value, and what rounding added to it, given the last step's
    `loss`.
    """
    value = value - loss
    after = before + value
    return after, (after - before) - value


@njit(forceinline=True)
def add_line(sums, block, row, value):
    """Add a vector to a row of sums (2, blocks, rows, LANES), whose second half keeps what rounding took."""
    after, loss = compensated(load(sums, (0, block, row, 0)), load(sums, (1, block, row, 0)), value)
    store(sums, (0, block, row, 0), after)
    store(sums, (1, block, row, 0), loss)


@njit(forceinline=True)
def add_lines(sums, block, row, value):
    """`add_line` of a quad to four rows."""
    after, loss = compensated(load_quad(sums, (0, block, row, 0)), load_quad(sums, (1, block, row, 0)), value)
    store(sums, (0, block, row, 0), after)
    store(sums, (1, block, row, 0), loss)
