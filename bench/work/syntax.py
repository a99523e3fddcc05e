"""The code of one module, taken apart: what it defines, what it imports, and what importing it does."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeGuard

# Decorators that leave nothing behind elsewhere. A definition under any other one counts as something that
# importing its module does: it may be registered, and act although nobody names it.
HARMLESS = frozenset({
    "abstractmethod", "cache", "cached_property", "contextmanager", "dataclass", "exit_with_message", "final",
    "intrinsic", "lru_cache", "njit", "no_grad", "runtime_checkable", "wraps",
})  # fmt: skip
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(frozen=True)
class Imported:
    """What an import binds a name to: a module (`name` empty), or a name in it."""

    module: str
    name: str = ""


@dataclass
class Source:
    """One module: name -> the statements that define it, name -> what it imports, and what it does."""

    tree: ast.Module
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Imported] = field(default_factory=dict)
    effects: list[ast.stmt] = field(default_factory=list)

    @cached_property
    def imported(self) -> tuple[Imported, ...]:
        """Everything that the module or its functions can import, type-only imports left out."""
        return tuple(binding for node in at_run_time(self.tree) for _, binding in import_bindings(node))


def parse(text: str) -> Source:
    """The module of this text; ValueError for an import that cannot be followed."""
    source = Source(ast.parse(text))
    for statement in _top_level(source.tree.body):
        for node in same_scope([statement]):
            source.imports.update(import_bindings(node))
        for name in bound_names([statement]):
            source.definitions.setdefault(name, []).append(statement)
        if _acts(statement):
            source.effects.append(statement)
    return source


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module that run when it is imported, without docstrings."""
    for statement in body:
        if _is_type_only(statement):
            yield from _top_level(statement.orelse)
        elif not is_text(statement) and not (
            isinstance(statement, ast.If) and "__main__" in ast.dump(statement.test)
        ):
            yield statement


def at_run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of a tree but those under `if TYPE_CHECKING`."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if _is_type_only(node):
            stack.extend(node.orelse)
        else:
            yield node
            stack.extend(ast.iter_child_nodes(node))


def import_bindings(node: ast.AST) -> Iterator[tuple[str, Imported]]:
    """The names an import statement binds; none for any other node."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            first = alias.name.split(".")[0]
            yield alias.asname or first, Imported(alias.name if alias.asname else first)
            if not alias.asname and alias.name != first:
                # `import a.b` binds `a`, and loads `a.b`.
                yield alias.name, Imported(alias.name)
    elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
        if node.level or any(alias.name == "*" for alias in node.names):
            raise ValueError(f"line {node.lineno}: name the module in full, and each name that is imported")
        for alias in node.names:
            yield alias.asname or alias.name, Imported(str(node.module), alias.name)


def same_scope(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes and what stands below them, but nothing inside functions, classes and comprehensions."""
    stack = list(nodes)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, Definition | ast.Lambda | Comprehension):
            stack.extend(ast.iter_child_nodes(node))


def bound_names(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that statements bind in their own scope, imports excepted."""
    names: set[str] = set()
    for node in same_scope(nodes):
        if isinstance(node, Definition):
            names.add(node.name)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
            names |= {node.name} if node.name else set()
        elif binds(node):
            names.add(node.id)
    return names


def binds(node: ast.AST) -> TypeGuard[ast.Name]:
    """Whether a node is a name that is given a value."""
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def is_text(statement: ast.AST) -> bool:
    """Whether a statement is a constant alone: a docstring, or `...`."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_type_only(node: ast.AST) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _acts(statement: ast.stmt) -> bool:
    """Whether importing the module does something by this statement that no name of the module tells."""
    if isinstance(statement, Definition):
        return any(_last_name(decorator) not in HARMLESS for decorator in statement.decorator_list)
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        inside = (node for target in targets for node in ast.walk(target))
        return any(isinstance(node, ast.Attribute | ast.Subscript) for node in inside)
    return any(isinstance(node, ast.Expr) and not is_text(node) for node in ast.walk(statement))


def _last_name(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
