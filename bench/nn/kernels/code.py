"""Types of what emits LLVM's code, under short names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from llvmlite import ir
from numba.core.types.abstract import Type
from numba.core.typing.templates import Signature

Builder: TypeAlias = ir.IRBuilder
Value: TypeAlias = ir.Value
Values: TypeAlias = Sequence[ir.Value]
# Numba's types have attributes of their own kind, which no type says.
Kinds: TypeAlias = Sequence[Any]
# The target that code is made for, and what finds the types of a call. Numba makes both at run time.
Target: TypeAlias = Any
TypingContext: TypeAlias = Any
# Emits the code of one call, and what an intrinsic gives: the types of a call, and how it is emitted.
Emit: TypeAlias = Callable[[Target, Builder, Signature, Values], Value]
Intrinsic: TypeAlias = tuple[Signature, Emit] | None

__all__ = ["Builder", "Emit", "Intrinsic", "Kinds", "Signature", "Target", "Type"]
__all__ += ["TypingContext", "Value", "Values"]
