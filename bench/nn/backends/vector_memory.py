"""Moving vectors and quads between registers and float32 arrays. Indices are tuples; the last axis is contiguous."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from bench.nn.backends.vector import (
    FLOATS,
    INT32,
    INTEGERS,
    LANES,
    UNROLL,
    call,
    constant,
    join,
    quad,
    split,
    vector,
)

# Rows of a caller's array start anywhere; unaligned access costs nothing where they happen to be aligned.
ALIGNMENT = 4


def _address(context: Any, builder: Any, kinds: Any, values: Any, axis: int = -1, offset: int = 0) -> Any:
    """Return the address of array[index], `offset` further along `axis`."""
    array_kind, index_kind = kinds[:2]
    indices = [
        context.cast(builder, value, kind, types.intp)
        for value, kind in zip(cgutils.unpack_tuple(builder, values[1]), index_kind.types, strict=True)
    ]
    indices[axis] = builder.add(indices[axis], ir.Constant(indices[axis].type, offset))
    view = context.make_array(array_kind)(context, builder, values[0])
    return cgutils.get_item_pointer(context, builder, array_kind, view, indices, wraparound=False)


def _load(builder: Any, address: Any, kind: ir.Type) -> Any:
    value = builder.load(builder.bitcast(address, kind.as_pointer()), typ=kind)
    value.align = ALIGNMENT
    return value


def _spread(builder: Any, scalar: Any, kind: ir.VectorType) -> Any:
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, scalar, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(INTEGERS, [0] * LANES))


def _lane_mask(builder: Any, lanes: Any) -> Any:
    spread = _spread(builder, builder.trunc(lanes, INT32), INTEGERS)
    return builder.icmp_signed("<", ir.Constant(INTEGERS, list(range(LANES))), spread)


@intrinsic
def broadcast(typing_context: Any, x: Any) -> Any:
    """The float32 x in all lanes of a vector."""
    return vector(types.float32), lambda context, builder, sig, args: _spread(builder, args[0], FLOATS)


@intrinsic
def zero_quad(typing_context: Any) -> Any:
    """A quad of zeros."""
    return quad(), lambda context, builder, sig, args: join(builder, [constant(0.0)] * UNROLL)


@intrinsic
def columns(typing_context: Any, array: Any, index: Any) -> Any:
    """Four neighbours along the last axis, each in all lanes of one part of a quad."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        addresses = [_address(context, builder, sig.args, args, -1, part) for part in range(UNROLL)]
        return join(builder, [_spread(builder, _load(builder, a, ir.FloatType()), FLOATS) for a in addresses])

    return quad(array, index), generate


@intrinsic
def load(typing_context: Any, array: Any, index: Any) -> Any:
    """Sixteen neighbours along the last axis."""
    return vector(array, index), lambda context, builder, sig, args: _load(
        builder, _address(context, builder, sig.args, args), FLOATS
    )


@intrinsic
def load_quad(typing_context: Any, array: Any, index: Any) -> Any:
    """Sixteen neighbours along the last axis, in four neighbouring rows of the last axis but one."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        addresses = [_address(context, builder, sig.args, args, -2, part) for part in range(UNROLL)]
        return join(builder, [_load(builder, address, FLOATS) for address in addresses])

    return quad(array, index), generate


@intrinsic
def store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a vector where `load` reads one, a quad where `load_quad` does."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        parts = split(builder, quad, args[2]) if sig.args[2] == quad else [args[2]]
        for part, content in enumerate(parts):
            address = _address(context, builder, sig.args, args, -2, part)
            builder.store(content, builder.bitcast(address, FLOATS.as_pointer())).align = ALIGNMENT
        return context.get_dummy_value()

    return types.void(array, index, value), generate


@intrinsic
def load_first(typing_context: Any, array: Any, index: Any, lanes: Any) -> Any:
    """`load` of the first `lanes` lanes only, zero in the others."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = builder.bitcast(_address(context, builder, sig.args, args), FLOATS.as_pointer())
        operands = [pointer, ir.Constant(INT32, ALIGNMENT), _lane_mask(builder, args[2]), constant(0.0)]
        return call(builder, "llvm.masked.load.v16f32.p0", FLOATS, operands)

    return vector(array, index, types.intp), generate


@intrinsic
def store_first(typing_context: Any, array: Any, index: Any, value: Any, lanes: Any) -> Any:
    """`store` of a vector's first `lanes` lanes only."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = builder.bitcast(_address(context, builder, sig.args, args), FLOATS.as_pointer())
        operands = [args[2], pointer, ir.Constant(INT32, ALIGNMENT), _lane_mask(builder, args[3])]
        call(builder, "llvm.masked.store.v16f32.p0", ir.VoidType(), operands)
        return context.get_dummy_value()

    return types.void(array, index, vector, types.intp), generate
