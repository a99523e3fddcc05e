"""Operations on vectors and quads beyond the operators. LLVM emits them; the functions here only say what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeAlias

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from bench.nn.kernels.code import Builder, Intrinsic, Signature, Target, Type, TypingContext, Value, Values
from bench.nn.kernels.vector import (
    FLOATS,
    INT32,
    INTEGERS,
    LANES,
    UNROLL,
    call,
    clamp,
    constant,
    elementwise,
    join,
    multiply_add,
    polynomial,
    quad,
    short_polynomial,
    split,
    vector,
    wider,
)

Polynomial: TypeAlias = Callable[[Builder, Sequence[float], Value], Value]

# 2^x on [-1/2, 1/2] to 1e-7, exact at 0 and its slope there to 1.5e-7: a decay close to 1 stays one.
EXP2_COEFFICIENTS = (
    1.0,
    0.693147080962,
    0.240222622224,
    0.055506458322,
    0.00967059533424,
    0.00132826083606,
)
# Beyond these 2^x is no normal float32, and its exponent no longer fits the bits.
EXP2_LOWEST, EXP2_HIGHEST = -126.0, 127.0
# Adding 1.5 * 2^23 leaves a float rounded to an integer in its lowest bits.
ROUNDER = 12582912.0


def has_feature(context: Target, feature: str) -> bool:
    """Tell whether the processor compiled for has an LLVM feature."""
    return f"+{feature}" in str(context.codegen().magic_tuple()[2]).split(",")


def _exp2_avx512(builder: Builder, x: Value, evaluate: Polynomial) -> Value:
    all_lanes, this_rounding = ir.Constant(ir.IntType(16), -1), ir.Constant(INT32, 4)
    # What is left of x beyond the nearest integer, in one instruction; both differences are exact.
    to_nearest = ir.Constant(INT32, 0)
    reduce = [x, to_nearest, constant(0.0), all_lanes, this_rounding]
    remainder = call(builder, "llvm.x86.avx512.mask.reduce.ps.512", FLOATS, reduce)
    mantissa = evaluate(builder, EXP2_COEFFICIENTS, remainder)
    operands = [mantissa, builder.fsub(x, remainder), constant(0.0), all_lanes, this_rounding]
    return call(builder, "llvm.x86.avx512.mask.scalef.ps.512", FLOATS, operands)


def _exp2(builder: Builder, x: Value, evaluate: Polynomial) -> Value:
    x = clamp(builder, clamp(builder, x, ">", EXP2_LOWEST), "<", EXP2_HIGHEST)
    shifted = builder.fadd(x, constant(ROUNDER))
    remainder = builder.fsub(x, builder.fsub(shifted, constant(ROUNDER)))
    mantissa = evaluate(builder, EXP2_COEFFICIENTS, remainder)
    # The rounded integer goes into the exponent's bits.
    exponent = builder.shl(builder.bitcast(shifted, INTEGERS), ir.Constant(INTEGERS, [23] * LANES))
    return builder.bitcast(builder.add(builder.bitcast(mantissa, INTEGERS), exponent), FLOATS)


@intrinsic
def exp2(typing_context: TypingContext, x: Type) -> Intrinsic:
    """2^x to about 1e-7 relative, exact at 0. NaN stays NaN.

    AVX-512 scales by a power of two in one instruction, right up to zero and infinity; elsewhere results
    saturate at the ends of the normal range.
    """

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        # A quad keeps the processor busy with four of them; a vector alone has to be waited for.
        evaluate = polynomial if sig.return_type == quad else short_polynomial
        operation = partial(_exp2_avx512 if has_feature(context, "avx512dq") else _exp2, evaluate=evaluate)
        return elementwise(operation)(context, builder, sig, args)

    kind = wider(x)
    return None if kind is None else (kind(x), generate)


@intrinsic
def fma(typing_context: TypingContext, x: Type, y: Type, z: Type) -> Intrinsic:
    """X y + z, fused where the machine can."""
    kind = wider(x, y, z)
    return None if kind is None else (kind(x, y, z), elementwise(multiply_add))


@intrinsic
def dot(typing_context: TypingContext, x: Type, y: Type, z: Type) -> Intrinsic:
    """Z plus the sum over the four parts of x y, for quads x and y and a vector z, in order."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        result = args[2]
        for left, right in zip(*(split(builder, quad, value) for value in args[:2]), strict=True):
            result = multiply_add(builder, left, right, result)
        return result

    return vector(quad, quad, vector), generate


@intrinsic
def sum_of_four(typing_context: TypingContext, x: Type) -> Intrinsic:
    """The sum of a quad's four vectors, in order."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        first, *others = split(builder, quad, args[0])
        for other in others:
            first = builder.fadd(first, other)
        return first

    return vector(quad), generate


@intrinsic
def zero_quad(typing_context: TypingContext) -> Intrinsic:
    """A quad of zeros."""
    return quad(), lambda context, builder, sig, args: join(builder, [constant(0.0)] * UNROLL)


@intrinsic
def push(typing_context: TypingContext, window: Type, newest: Type) -> Intrinsic:
    """A quad without its first vector, and `newest` as its last."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        return join(builder, [*split(builder, quad, args[0])[1:], args[1]])

    return quad(quad, vector), generate


@intrinsic
def absolute(typing_context: TypingContext, x: Type) -> Intrinsic:
    """Absolute value of a vector."""
    return vector(vector), lambda context, builder, sig, args: call(builder, "llvm.fabs.v16f32", FLOATS, args)


@intrinsic
def positive(typing_context: TypingContext, x: Type) -> Intrinsic:
    """max(x, 0) of a vector, keeping NaN."""
    return vector(vector), lambda context, builder, sig, args: clamp(builder, args[0], ">", 0.0)


@intrinsic
def where_negative(typing_context: TypingContext, x: Type, y: Type, z: Type) -> Intrinsic:
    """Y in the lanes where the vector x is below zero, z elsewhere."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        return builder.select(builder.fcmp_ordered("<", args[0], constant(0.0)), args[1], args[2])

    return vector(vector, vector, vector), generate


@intrinsic
def total(typing_context: TypingContext, x: Type) -> Intrinsic:
    """The sum over a vector's lanes, in a fixed order."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        value, width = args[0], LANES
        while width > 1:
            width //= 2
            value = _folded(builder, value, value, range(width), range(width, 2 * width))
        return builder.extract_element(value, ir.Constant(INT32, 0))

    return types.float32(vector), generate


def totals(builder: Builder, parts: Values) -> Value:
    """Emit the sums over the lanes of each of four vectors, as `total` adds them, as one vector of four."""
    first, second, third, fourth = parts
    halves = ([*range(8), *range(16, 24)], [*range(8, 16), *range(24, 32)])
    left, right = (_folded(builder, *pair, *halves) for pair in ((first, second), (third, fourth)))
    quarters = [[start + lane for start in range(shift, 32, 8) for lane in range(4)] for shift in (0, 4)]
    value = _folded(builder, left, right, *quarters)
    value = _folded(builder, value, value, [0, 1, 4, 5, 8, 9, 12, 13], [2, 3, 6, 7, 10, 11, 14, 15])
    return _folded(builder, value, value, range(0, 8, 2), range(1, 8, 2))


def _folded(builder: Builder, x: Value, y: Value, some: Iterable[int], others: Iterable[int]) -> Value:
    low, high = (
        builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(INT32, len(lanes)), lanes))
        for lanes in (list(some), list(others))
    )
    return builder.fadd(low, high)
