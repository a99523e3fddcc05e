"""Two numba types, `vector` (sixteen float32 lanes) and `quad` (four vectors), and the arithmetic kernels
need on them.

Left alone, numba keeps small local arrays in memory. Types that lower to LLVM vectors let a kernel say what
sits in a register; LLVM splits them where the machine's registers are narrower, and no compiler is needed at
run time. Arithmetic is elementwise; a vector beside a quad meets each of the four.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

from bench.nn.kernels.code import Builder, Signature, Target, Value, Values

LANES = 16
UNROLL = 4
INT32 = ir.IntType(32)
FLOATS = ir.VectorType(ir.FloatType(), LANES)
# One float for each vector of a quad.
QUARTER = ir.VectorType(ir.FloatType(), 4)
INTEGERS = ir.VectorType(INT32, LANES)

Generator = Callable[[Any, Any, Any, Any], Any]


class VectorType(types.Type):
    """The numba type of sixteen float32 lanes: one LLVM vector."""

    def __init__(self) -> None:
        super().__init__(name="Vector16")


class QuadType(types.Type):
    """The numba type of four vectors: the same sixteen channels in four neighbouring states."""

    def __init__(self) -> None:
        super().__init__(name="QuadVector16")


vector, quad = VectorType(), QuadType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Value, numba_type: VectorType) -> None:
        super().__init__(manager, numba_type, FLOATS)


@register_model(QuadType)
class _QuadModel(models.PrimitiveModel):
    def __init__(self, manager: Value, numba_type: QuadType) -> None:
        super().__init__(manager, numba_type, ir.ArrayType(FLOATS, UNROLL))


def split(builder: Builder, kind: types.Type, value: Value) -> list[Value]:
    """Return the four vectors of a quad, or a vector four times."""
    if isinstance(kind, QuadType):
        return [builder.extract_value(value, part) for part in range(UNROLL)]
    return [value] * UNROLL


def join(builder: Builder, parts: Values) -> Value:
    """Return the quad made of four vectors."""
    value = ir.Constant(ir.ArrayType(FLOATS, UNROLL), ir.Undefined)
    for index, part in enumerate(parts):
        value = builder.insert_value(value, part, index)
    return value


def elementwise(operation: Callable[..., Value]) -> Generator:
    """Lift `operation(builder, *vectors)` to vectors and quads."""

    def generate(context: Target, builder: Builder, sig: Signature, args: Values) -> Value:
        if not isinstance(sig.return_type, QuadType):
            return operation(builder, *args)
        columns = [split(builder, kind, value) for kind, value in zip(sig.args, args, strict=True)]
        return join(builder, [operation(builder, *parts) for parts in zip(*columns, strict=True)])

    return generate


def wider(*kinds: types.Type) -> types.Type | None:
    """Return the type of an elementwise result, None where an argument is neither vector nor quad."""
    if not all(isinstance(kind, VectorType | QuadType) for kind in kinds):
        return None
    return quad if quad in kinds else vector


def _define_operator(symbol: Callable[..., Value], instruction: str, flags: tuple[str, ...] = ()) -> None:
    pairs = [(left, right) for left in (vector, quad) for right in (vector, quad)]
    generate = elementwise(lambda builder, x, y: getattr(builder, instruction)(x, y, flags=flags))

    @infer_global(symbol)
    class _Template(ConcreteTemplate):
        cases: ClassVar = [signature(wider(left, right), left, right) for left, right in pairs]

    for left, right in pairs:
        lower_builtin(symbol, left, right)(generate)


_define_operator(operator.add, "fadd")
_define_operator(operator.sub, "fsub")
_define_operator(operator.mul, "fmul")
_define_operator(operator.truediv, "fdiv", ("arcp",))


def constant(value: float) -> ir.Constant:
    """Return an LLVM constant with `value` in every lane."""
    return ir.Constant(FLOATS, [value] * LANES)


def call(builder: Builder, name: str, result: ir.Type, args: Values) -> Value:
    """Call the LLVM intrinsic `name`."""
    kind = ir.FunctionType(result, [arg.type for arg in args])  # type: ignore[attr-defined]
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def multiply_add(builder: Builder, x: Value, y: Value, z: Value) -> Value:
    """Emit x y + z, fused where the machine can."""
    return call(builder, "llvm.fmuladd.v16f32", FLOATS, [x, y, z])


def polynomial(builder: Builder, coefficients: Sequence[float], x: Value) -> Value:
    """Emit Horner's scheme, lowest coefficient first."""
    result: Value = constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = multiply_add(builder, result, x, constant(coefficient))
    return result


def short_polynomial(builder: Builder, coefficients: Sequence[float], x: Value) -> Value:
    """Emit Horner's scheme in x^2 with linear coefficients: one operation more, in half the time from x."""
    pairs = [coefficients[i : i + 2] for i in range(0, len(coefficients), 2)]
    square, (last, *others) = builder.fmul(x, x), [polynomial(builder, pair, x) for pair in reversed(pairs)]
    for other in others:
        last = multiply_add(builder, last, square, other)
    return last


def clamp(builder: Builder, x: Value, predicate: str, bound: float) -> Value:
    """Emit max(bound, x) for ">" and min(bound, x) for "<", keeping a NaN in x."""
    # Compared from the bound's side this is one instruction on x86.
    limit = constant(bound)
    return builder.select(builder.fcmp_ordered(predicate, limit, x), limit, x)
