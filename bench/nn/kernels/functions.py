"""The pointwise functions of a Mamba mixer on vectors of sixteen lanes."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from typing import Any

from numba import njit, types
from numba.extending import intrinsic

from bench.nn.kernels.vector import absolute, exp2, fma, polynomial, positive, vector, where_negative
from bench.nn.kernels.memory import broadcast

MINUS_LOG2_E = types.float32(-1.4426950408889634)
ZERO, ONE, TWO = types.float32(0.0), types.float32(1.0), types.float32(2.0)

# Minimax in relative error: atanh(s) / s in s^2 on [0, 1/9] to 4e-9.
ATANH_COEFFICIENTS = (1.0, 0.333331573411, 0.200124551398, 0.139803013736, 0.140891675434)


@intrinsic
def _atanh_ratio(typing_context: Any, square: Any) -> Any:
    return vector(vector), lambda context, builder, sig, args: polynomial(builder, ATANH_COEFFICIENTS, args[0])


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
    """x sigmoid(x) and its derivative."""
    one = broadcast(ONE)
    s = sigmoid(x)
    return x * s, s * fma(x, one - s, one)
