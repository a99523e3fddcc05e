"""A definition as one canonical text of what computes in it.

Names of modules, imports, docstrings, annotations of functions, comments, messages of errors and statements
that only print are not part of it. Annotations in the body of a class are, since they make the fields of a
data class. The text is the same under every supported Python.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from bench.work.syntax import (
    Comprehension,
    Definition,
    Imported,
    binds,
    bound_names,
    import_bindings,
    is_text,
    same_scope,
)

NOT_CODE = frozenset({"ctx", "kind", "type_comment", "type_params", "type_ignores"})
# What a name that is not local stands for, given the attributes read off it: a text to write in its place,
# and how many of the attributes that text has used up. None for a builtin.
Refer = Callable[[str, tuple[str, ...], Mapping[str, Imported]], tuple[str, int] | None]


class Scope(NamedTuple):
    """Where a node stands: what the functions around it imported and bound, and whether none is around it."""

    imports: Mapping[str, Imported]
    local: frozenset[str] = frozenset()
    head: bool = False


class Shape:
    """Writes down the statements that define one name."""

    def __init__(self, refer: Refer, defined: str) -> None:
        self.refer, self.defined = refer, defined

    def of(self, statements: Iterable[ast.stmt]) -> str:
        """The text of the statements."""
        return ";".join(self._node(statement, Scope({}, head=True)) for statement in statements)

    def _node(self, node: Any, scope: Scope) -> str:
        """The text of a node, empty for what does not compute."""
        if isinstance(node, ast.Name | ast.Attribute):
            return self._reference(node, scope)
        if isinstance(node, ast.Constant):
            return f"{type(node.value).__name__}:{node.value!r}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            return self._chosen(node) if scope.head else ""
        if isinstance(node, ast.Pass) or _only_prints(node):
            return ""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | Comprehension):
            return self._fields(node, _inside(node, scope))
        if isinstance(node, ast.ClassDef):
            return self._fields(node, scope._replace(head=False))
        if isinstance(node, ast.AnnAssign):
            return self._node(ast.Assign([node.target], node.value), scope) if node.value else ""
        return self._fields(_without_message(node), scope)

    def _fields(self, node: ast.AST, scope: Scope) -> str:
        parts = [
            f"{name}={text}"
            for name, value in ast.iter_fields(node)
            if name not in NOT_CODE and not self._is_name_or_type(node, name)
            for text in [self._value(node, name, value, scope)]
            if text
        ]
        return f"{type(node).__name__}({','.join(parts)})"

    def _is_name_or_type(self, node: ast.AST, name: str) -> bool:
        """Whether a field is the defined thing's own name, or an annotation of a function."""
        if isinstance(node, Definition) and name in ("name", "returns"):
            return name == "returns" or node.name == self.defined
        return isinstance(node, ast.arg) and name == "annotation"

    def _value(self, node: ast.AST, name: str, value: Any, scope: Scope) -> str:
        if isinstance(value, ast.AST):
            return self._node(value, scope)
        if not isinstance(value, list):
            return "" if value is None else repr(value)
        if isinstance(node, Definition) and name == "body" and value and is_text(value[0]):
            value = value[1:]
        texts = [self._item(node, name, item, scope) for item in value]
        return f"[{','.join(text for text in texts if text)}]" if any(texts) else ""

    def _item(self, node: ast.AST, name: str, item: Any, scope: Scope) -> str:
        if isinstance(item, ast.AnnAssign) and isinstance(node, ast.ClassDef) and name == "body":
            return self._fields(item, scope)
        return self._node(item, scope) if isinstance(item, ast.AST) else repr(item)

    def _chosen(self, node: ast.Import | ast.ImportFrom) -> str:
        """An import under a condition at the head of a module: what it may bind its names to."""
        found = [self.refer(name, (), {name: binding}) for name, binding in import_bindings(node)]
        return f"Chosen({','.join(text for text, _ in filter(None, found))})"

    def _reference(self, node: ast.Name | ast.Attribute, scope: Scope) -> str:
        attributes: list[str] = []
        base: ast.expr = node
        while isinstance(base, ast.Attribute):
            attributes.insert(0, base.attr)
            base = base.value
        if not isinstance(base, ast.Name):
            return f"{self._node(base, scope)}.{'.'.join(attributes)}"
        if scope.head and binds(base):
            return "itself" if base.id == self.defined else "another"
        found = None
        if base.id not in scope.local and not binds(base):
            found = self.refer(base.id, tuple(attributes), scope.imports)
        text, used = found or (base.id, 0)
        return ".".join([text, *attributes[used:]])


def _inside(node: Any, scope: Scope) -> Scope:
    """What is known inside a function or comprehension: its own imports, and the names that it binds."""
    if isinstance(node, Comprehension):
        targets = bound_names(generator.target for generator in node.generators)
        return scope._replace(local=scope.local | targets)
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    arguments = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
    imports: dict[str, Imported] = {}
    elsewhere: set[str] = set()
    for inner in same_scope(body):
        imports.update(import_bindings(inner))
        if isinstance(inner, ast.Global):
            elsewhere |= set(inner.names)
    own = (arguments | bound_names(body)) - elsewhere
    return Scope({**scope.imports, **imports}, (scope.local | own) - imports.keys())


def _only_prints(node: ast.AST) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print"


def _without_message(node: ast.AST) -> ast.AST:
    """An error by its kind alone, and an assertion by its test."""
    if isinstance(node, ast.Assert):
        return ast.Assert(node.test)
    if isinstance(node, ast.Raise):
        return ast.Raise(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
    return node
