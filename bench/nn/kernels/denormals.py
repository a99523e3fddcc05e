"""Numbers below the normal float32 range: flushed to zero while a kernel runs.

A decaying state soon holds numbers below 1e-38, on which x86 is a hundred times slower than on others.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from bench.nn.kernels.code import Builder, Intrinsic, Signature, Target, Type, TypingContext, Value, Values
from bench.nn.kernels.vector import INT32, call

# Bits of the x86 control register MXCSR.
FLUSH_TO_ZERO, DENORMALS_ARE_ZERO = 1 << 15, 1 << 6


def _x86(builder: Builder) -> bool:
    return str(builder.module.triple).startswith(("x86_64", "i686"))


def _control_word(builder: Builder) -> tuple[Value, Value]:
    place = cgutils.alloca_once(builder, INT32)
    return place, builder.bitcast(place, ir.IntType(8).as_pointer())


@intrinsic
def flush_denormals(typing_context: TypingContext) -> Intrinsic:
    """Make this thread round tiny results to zero, and return its earlier mode for `restore_denormals`.

    A decaying state soon holds numbers below 1e-38, on which x86 is a hundred times slower. Elsewhere nothing
    is done.
    """

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        if not _x86(builder):
            return ir.Constant(INT32, 0)
        place, address = _control_word(builder)
        call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), [address])
        before = builder.load(place)
        builder.store(builder.or_(before, ir.Constant(INT32, FLUSH_TO_ZERO | DENORMALS_ARE_ZERO)), place)
        call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), [address])
        return before

    return types.int32(), generate


@intrinsic
def restore_denormals(typing_context: TypingContext, before: Type) -> Intrinsic:
    """Return this thread to the mode that `flush_denormals` found."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        if _x86(builder):
            place, address = _control_word(builder)
            builder.store(args[0], place)
            call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), [address])
        return context.get_dummy_value()

    return types.void(types.int32), generate
