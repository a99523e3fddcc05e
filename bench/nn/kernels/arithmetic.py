"""Operations on vectors and quads beyond the operators. LLVM emits them; the functions here only say what."""

from __future__ import annotations

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
    split,
    vector,
    wider,
)

# Minimax in relative error: 2^x on [-1/2, 1/2] to 2e-9.
EXP2_COEFFICIENTS = (
    1.0,
    0.693147205737,
    0.240226468906,
    0.0555032877711,
    0.00961848895633,
    0.00133999311772,
    0.000153458121613,
)
# Beyond these 2^x is no normal float32, and its exponent no longer fits the bits.
EXP2_LOWEST, EXP2_HIGHEST = -126.0, 127.0
# Adding 1.5 * 2^23 leaves a float rounded to an integer in its lowest bits.
ROUNDER = 12582912.0


def has_feature(context: Target, feature: str) -> bool:
    """Tell whether the processor compiled for has an LLVM feature."""
    return f"+{feature}" in str(context.codegen().magic_tuple()[2]).split(",")


def _exp2_avx512(builder: Builder, x: Value) -> Value:
    rounded = builder.fsub(builder.fadd(x, constant(ROUNDER)), constant(ROUNDER))
    mantissa = polynomial(builder, EXP2_COEFFICIENTS, builder.fsub(x, rounded))
    all_lanes, this_rounding = ir.Constant(ir.IntType(16), -1), ir.Constant(INT32, 4)
    operands = [mantissa, rounded, constant(0.0), all_lanes, this_rounding]
    return call(builder, "llvm.x86.avx512.mask.scalef.ps.512", FLOATS, operands)


def _exp2(builder: Builder, x: Value) -> Value:
    x = clamp(builder, clamp(builder, x, ">", EXP2_LOWEST), "<", EXP2_HIGHEST)
    shifted = builder.fadd(x, constant(ROUNDER))
    remainder = builder.fsub(x, builder.fsub(shifted, constant(ROUNDER)))
    mantissa = polynomial(builder, EXP2_COEFFICIENTS, remainder)
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
        operation = _exp2_avx512 if has_feature(context, "avx512f") else _exp2
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
            low, high = (
                builder.shuffle_vector(value, value, ir.Constant(ir.VectorType(INT32, width), list(lanes)))
                for lanes in (range(width), range(width, 2 * width))
            )
            value = builder.fadd(low, high)
        return builder.extract_element(value, ir.Constant(INT32, 0))

    return types.float32(vector), generate
