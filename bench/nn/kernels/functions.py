"""What the kernels share: the pointwise functions of a Mamba mixer, and compensated sums."""

# numba compiles what is below; its intrinsics take an argument less than they declare.
# mypy: ignore-errors

from __future__ import annotations

from numba import njit, types
from numba.extending import intrinsic

from bench.nn.kernels.arithmetic import absolute, exp2, fma, positive, where_negative
from bench.nn.kernels.code import Intrinsic, Type, TypingContext
from bench.nn.kernels.memory import broadcast, load, load_quad, store
from bench.nn.kernels.vector import polynomial, short_polynomial, vector

MINUS_LOG2_E = types.float32(-1.4426950408889634)
ZERO, ONE, TWO = types.float32(0.0), types.float32(1.0), types.float32(2.0)
MINUS_ONE = types.float32(-1.0)

# Minimax in relative error for e in [0, 1]: log(1 + e) / e to 3e-8, exact at 0, and 1 / (1 + e) to 1e-2.
LOG_COEFFICIENTS = (
    1.0,
    -0.49999647967,
    0.33321322659,
    -0.248571638219,
    0.191536550248,
    -0.137538016346,
    0.0792045186348,
    -0.0300657774811,
    0.00536481970787,
)
INVERSE_COEFFICIENTS = (0.989898989899, -0.808080808081, 0.323232323232)


@intrinsic
def _log_ratio(typing_context: TypingContext, e: Type) -> Intrinsic:
    return vector(vector), lambda context, builder, sig, args: short_polynomial(
        builder, LOG_COEFFICIENTS, args[0]
    )


@intrinsic
def _rough_inverse(typing_context: TypingContext, e: Type) -> Intrinsic:
    return vector(vector), lambda context, builder, sig, args: polynomial(
        builder, INVERSE_COEFFICIENTS, args[0]
    )


@njit(forceinline=True)
def inverse_of_one_plus(e):
    """1 / (1 + e) for e in [0, 1], by two of Newton's steps: a division takes as long as many operations."""
    one, minus = broadcast(ONE), broadcast(MINUS_ONE) - e
    y = _rough_inverse(e)
    y = fma(y, fma(minus, y, one), y)
    return fma(y, fma(minus, y, one), y)


@njit(forceinline=True)
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    e = exp2(absolute(x) * broadcast(MINUS_LOG2_E))
    return where_negative(x, e, broadcast(ONE)) * inverse_of_one_plus(e)


@njit(forceinline=True)
def softplus(x):
    """log(1 + exp(x)), accurate relative to itself for any x."""
    e = exp2(absolute(x) * broadcast(MINUS_LOG2_E))
    return fma(e, _log_ratio(e), positive(x))


@njit(forceinline=True)
def softplus_and_slope(x):
    """softplus(x) and its derivative sigmoid(x), for one exponential."""
    e = exp2(absolute(x) * broadcast(MINUS_LOG2_E))
    slope = where_negative(x, e, broadcast(ONE)) * inverse_of_one_plus(e)
    return fma(e, _log_ratio(e), positive(x)), slope


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
