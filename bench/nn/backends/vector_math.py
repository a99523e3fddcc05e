"""The pointwise functions of a Mamba mixer on vectors of sixteen lanes."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from typing import Any

from numba import njit, types
from numba.extending import intrinsic

from bench.nn.backends.vector import absolute, exp2, fma, polynomial, positive, vector
from bench.nn.backends.vector_memory import broadcast

MINUS_LOG2_E = types.float32(-1.4426950408889634)
ZERO, ONE, TWO = types.float32(0.0), types.float32(1.0), types.float32(2.0)

# Minimax in relative error: atanh(s) / s in s^2 on [0, 1/9] to 4e-9.
ATANH_COEFFICIENTS = (1.0, 0.333331573411, 0.200124551398, 0.139803013736, 0.140891675434)


@intrinsic
def _atanh_ratio(typing_context: Any, square: Any) -> Any:
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
def silu_gradient(x, s):
    """The derivative of x sigmoid(x), given s = sigmoid(x)."""
    return s * fma(x, broadcast(ONE) - s, broadcast(ONE))
