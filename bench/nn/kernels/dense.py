"""The pointwise parts of a compiled program on flat arrays: linear maps, norms, activations, sums.

A register holds a row of features for each token, padded to whole quads of QUAD_WIDTH. Every function takes
the array of registers, where its rows begin in it, and how many tokens there are.
"""

# numba compiles what is below; its intrinsics take an argument less than they declare.
# mypy: ignore-errors

from __future__ import annotations

import math

from numba import njit, types
from numba.extending import intrinsic

from bench.nn.kernels.arithmetic import absolute, exp2, fma, positive, total, where_negative
from bench.nn.kernels.code import Intrinsic, Type, TypingContext
from bench.nn.kernels.functions import MINUS_LOG2_E, ONE, TWO, ZERO, sigmoid
from bench.nn.kernels.memory import broadcast, load, load_quad, store
from bench.nn.kernels.vector import LANES, UNROLL, polynomial, vector

QUAD_WIDTH = LANES * UNROLL
# So many inputs of a linear map are met by all tokens before the next: their weights, 16 KiB, stay in the
# first-level cache. What is added up in which order does not depend on the number of tokens.
CHUNK = 64
RELU, GELU, TANH = range(3)

HALF, ROOT_HALF = types.float32(0.5), types.float32(0.5**0.5)
# Abramowitz and Stegun 7.1.26: erfc(x) exp(x^2) in 1 / (1 + ERF_SLOPE x), to 1.5e-7.
ERF_SLOPE = types.float32(0.3275911)
ERFC_COEFFICIENTS = (0.0, 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


@intrinsic
def _erfc_ratio(typing_context: TypingContext, t: Type) -> Intrinsic:
    return vector(vector), lambda context, builder, sig, args: polynomial(builder, ERFC_COEFFICIENTS, args[0])


@njit
def affine(registers, source, stride, inputs, target, outputs, weights, at, tokens):
    """Rows of `outputs` features (whole quads) at `target` from the first `inputs` of those at `source`.

    The weights lie from `at` on: for each quad of outputs the biases, then a line for each input.
    """
    for quad in range(outputs // QUAD_WIDTH):
        lines = at + quad * (inputs + 1) * QUAD_WIDTH
        for first in range(0, inputs, CHUNK):
            last = min(first + CHUNK, inputs)
            for token in range(tokens):
                row, place = source + token * stride, target + token * outputs + quad * QUAD_WIDTH
                y = load_quad(weights, (lines,)) if first == 0 else load_quad(registers, (place,))
                for i in range(first, last):
                    x = broadcast(registers[row + i])
                    y = fma(x, load_quad(weights, (lines + (i + 1) * QUAD_WIDTH,)), y)
                store(registers, (place,), y)


@njit
def normalise(registers, source, target, width, weights, at, centred, tokens):
    """Norms of rows of `width` features (whole quads): a layer norm if `centred`, else by the mean square.

    From `at` on lie a line with one over the number of features and epsilon, then 1 for each feature and 0
    for padding, then the weights and the biases.
    """
    share, epsilon = weights[at], weights[at + 1]
    real, scale, shift = at + QUAD_WIDTH, at + QUAD_WIDTH + width, at + QUAD_WIDTH + 2 * width
    for token in range(tokens):
        row, place = source + token * width, target + token * width
        mean = ZERO
        if centred:
            summed = broadcast(ZERO)
            for i in range(0, width, LANES):
                summed = fma(load(registers, (row + i,)), load(weights, (real + i,)), summed)
            mean = total(summed) * share
        squares = broadcast(ZERO)
        for i in range(0, width, LANES):
            x = (load(registers, (row + i,)) - broadcast(mean)) * load(weights, (real + i,))
            squares = fma(x, x, squares)
        inverse = broadcast(ONE / math.sqrt(total(squares) * share + epsilon))
        for i in range(0, width, LANES):
            x = (load(registers, (row + i,)) - broadcast(mean)) * inverse
            y = fma(x, load(weights, (scale + i,)), load(weights, (shift + i,)))
            store(registers, (place + i,), y)


@njit(forceinline=True)
def gelu(x):
    """X times the normal distribution's share below it, by erfc of its size."""
    z = absolute(x) * broadcast(ROOT_HALF)
    t = broadcast(ONE) / fma(z, broadcast(ERF_SLOPE), broadcast(ONE))
    tail = broadcast(HALF) * _erfc_ratio(t) * exp2(z * z * broadcast(MINUS_LOG2_E))
    return x * where_negative(x, tail, broadcast(ONE) - tail)


@njit
def activate(registers, source, count, kind):
    """Apply an activation in place to `count` features (whole quads) from `source` on."""
    for i in range(source, source + count, LANES):
        x = load(registers, (i,))
        if kind == RELU:
            x = positive(x)
        elif kind == GELU:
            x = gelu(x)
        else:
            x = broadcast(TWO) * sigmoid(x + x) - broadcast(ONE)
        store(registers, (i,), x)


@njit
def add(registers, source, target, count):
    """Add `count` features (whole quads) from `source` on to those from `target` on."""
    for i in range(0, count, LANES):
        store(registers, (target + i,), load(registers, (target + i,)) + load(registers, (source + i,)))


@njit
def copy(source, begin, target, place, count):
    """Copy `count` features (whole quads) of one array to another."""
    for i in range(0, count, LANES):
        store(target, (place + i,), load(source, (begin + i,)))
