"""Moving vectors and quads between registers and float32 arrays. Indices are tuples; the last axis is
contiguous.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from bench.nn.kernels.arithmetic import totals
from bench.nn.kernels.code import (
    Builder,
    Intrinsic,
    Kinds,
    Signature,
    Target,
    Type,
    TypingContext,
    Value,
    Values,
)
from bench.nn.kernels.vector import (
    FLOATS,
    INT32,
    INTEGERS,
    LANES,
    QUARTER,
    UNROLL,
    call,
    constant,
    join,
    quad,
    split,
    vector,
)

# Rows of a caller's array start anywhere; unaligned access costs nothing where they happen to be aligned.
ALIGNMENT = FLOAT_BYTES = 4


def _address(context: Target, builder: Builder, kinds: Kinds, values: Values) -> Value:
    """Return the address of array[index]; every axis has its stride, but the last one is contiguous."""
    array_kind, index_kind = kinds[:2]
    view = context.make_array(array_kind)(context, builder, values[0])
    indices = cgutils.unpack_tuple(builder, values[1])
    steps = [*cgutils.unpack_tuple(builder, view.strides)[:-1], context.get_constant(types.intp, FLOAT_BYTES)]
    offset = context.get_constant(types.intp, 0)
    for index, kind, step in zip(indices, index_kind.types, steps, strict=True):
        offset = builder.add(offset, builder.mul(context.cast(builder, index, kind, types.intp), step))
    return builder.gep(_bytes(builder, view.data), [offset], source_etype=ir.IntType(8))


def _bytes(builder: Builder, address: Value) -> Value:
    return builder.bitcast(address, ir.IntType(8).as_pointer())


def _further(builder: Builder, address: Value, floats: int) -> Value:
    return builder.gep(
        address, [ir.Constant(ir.IntType(64), floats * FLOAT_BYTES)], source_etype=ir.IntType(8)
    )


def _load(builder: Builder, address: Value, kind: ir.Type) -> Value:
    value = builder.load(builder.bitcast(address, kind.as_pointer()), typ=kind)
    value.align = ALIGNMENT
    return value


def _spread(builder: Builder, scalar: Value, kind: ir.VectorType) -> Value:
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, scalar, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(INTEGERS, [0] * LANES))


def _lane_mask(builder: Builder, lanes: Value) -> Value:
    spread = _spread(builder, builder.trunc(lanes, INT32), INTEGERS)
    return builder.icmp_signed("<", ir.Constant(INTEGERS, list(range(LANES))), spread)


@intrinsic
def broadcast(typing_context: TypingContext, x: Type) -> Intrinsic:
    """The float32 x in all lanes of a vector."""
    return vector(types.float32), lambda context, builder, sig, args: _spread(builder, args[0], FLOATS)


@intrinsic
def columns(typing_context: TypingContext, array: Type, index: Type) -> Intrinsic:
    """Four neighbours along the last axis, each in all lanes of one part of a quad."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        first = _address(context, builder, sig.args, args)
        scalars = [_load(builder, _further(builder, first, part), ir.FloatType()) for part in range(UNROLL)]
        return join(builder, [_spread(builder, scalar, FLOATS) for scalar in scalars])

    return quad(array, index), generate


@intrinsic
def load(typing_context: TypingContext, array: Type, index: Type) -> Intrinsic:
    """Sixteen neighbours along the last axis."""
    return vector(array, index), lambda context, builder, sig, args: _load(
        builder, _address(context, builder, sig.args, args), FLOATS
    )


@intrinsic
def load_quad(typing_context: TypingContext, array: Type, index: Type) -> Intrinsic:
    """Sixty-four neighbours along the last axis, or through the last two where the last has sixteen."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        first = _address(context, builder, sig.args, args)
        return join(
            builder,
            [_load(builder, _further(builder, first, part * LANES), FLOATS) for part in range(UNROLL)],
        )

    return quad(array, index), generate


@intrinsic
def store(typing_context: TypingContext, array: Type, index: Type, value: Type) -> Intrinsic:
    """Write a vector where `load` reads one, a quad where `load_quad` does."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        parts = split(builder, quad, args[2]) if sig.args[2] == quad else [args[2]]
        first = _address(context, builder, sig.args, args)
        for part, content in enumerate(parts):
            address = builder.bitcast(_further(builder, first, part * LANES), FLOATS.as_pointer())
            builder.store(content, address).align = ALIGNMENT
        return context.get_dummy_value()

    return types.void(array, index, value), generate


@intrinsic
def load_first(typing_context: TypingContext, array: Type, index: Type, lanes: Type) -> Intrinsic:
    """`load` of the first `lanes` lanes only, zero in the others."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        pointer = builder.bitcast(_address(context, builder, sig.args, args), FLOATS.as_pointer())
        operands = [pointer, ir.Constant(INT32, ALIGNMENT), _lane_mask(builder, args[2]), constant(0.0)]
        return call(builder, "llvm.masked.load.v16f32.p0", FLOATS, operands)

    return vector(array, index, types.intp), generate


@intrinsic
def store_first(
    typing_context: TypingContext, array: Type, index: Type, value: Type, lanes: Type
) -> Intrinsic:
    """`store` of a vector's first `lanes` lanes only."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        pointer = builder.bitcast(_address(context, builder, sig.args, args), FLOATS.as_pointer())
        # A masked store takes AMD's processors before Zen 4 some twenty cycles, and is seldom needed.
        with builder.if_else(builder.icmp_signed("==", args[3], ir.Constant(ir.IntType(64), LANES))) as arms:
            with arms[0]:
                builder.store(args[2], pointer).align = ALIGNMENT
            with arms[1]:
                operands = [args[2], pointer, ir.Constant(INT32, ALIGNMENT), _lane_mask(builder, args[3])]
                call(builder, "llvm.masked.store.v16f32.p0", ir.VoidType(), operands)
        return context.get_dummy_value()

    return types.void(array, index, vector, types.intp), generate


@intrinsic
def store_totals(typing_context: TypingContext, array: Type, index: Type, value: Type) -> Intrinsic:
    """Write the sums over the lanes of a quad's vectors to four neighbours along the last axis."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        sums = totals(builder, split(builder, quad, args[2]))
        address = builder.bitcast(_address(context, builder, sig.args, args), QUARTER.as_pointer())
        builder.store(sums, address).align = ALIGNMENT
        return context.get_dummy_value()

    return types.void(array, index, quad), generate


@intrinsic
def prefetch(typing_context: TypingContext, array: Type, index: Type) -> Intrinsic:
    """Ask for the cache line that holds array[index], which need not exist."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        address = _address(context, builder, sig.args, args)
        for_reading, soon, data = (ir.Constant(INT32, value) for value in (0, 3, 1))
        call(builder, "llvm.prefetch.p0", ir.VoidType(), [address, for_reading, soon, data])
        return context.get_dummy_value()

    return types.void(array, index), generate
