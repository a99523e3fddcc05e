"""What a cell's number depends on, hashed.

The parts: the docstring-free syntax tree of every module of this package that the stage's code
can import (found statically from the entry module and the named method, environment and
dataset modules), the data files shipped beside those modules that the options name, the
resolved options, the seed, the fingerprints of what was made before, and the versions of the
packages those modules import. Comments and docstrings are no part of it.

`bench.catalogue`, `bench.work` and `bench.stages.runner` are left out: what the specification says
enters as the resolved options, and how a record is written changes no number.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from bench.work.modules import module_path

LEFT_OUT = ("bench.catalogue", "bench.work", "bench.stages.runner", "bench.errors", "bench.files")
KEPT = ()


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _imports(tree: ast.AST) -> Iterable[str]:
    """Dotted names imported anywhere in the tree, but for those under `if TYPE_CHECKING`."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and _is_type_checking(node):
            stack.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        stack.extend(ast.iter_child_nodes(node))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            if (
                body
                and isinstance(body[0], ast.Expr)
                and isinstance(body[0].value, ast.Constant)
                and isinstance(body[0].value.value, str)
            ):
                node.body = body[1:]
    return tree


@cache
def module_facts(name: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """(hash of the code, modules of this package it imports, other packages it imports)."""
    path = module_path(name)
    assert path is not None, name
    tree = ast.parse(path.read_text())
    imported = set(_imports(tree))
    own = sorted(i for i in imported if i.split(".")[0] == "bench" and module_path(i))
    others = sorted({i.split(".")[0] for i in imported} - {"bench"} - set(sys.stdlib_module_names))
    digest = hashlib.sha256(ast.dump(_without_docstrings(tree)).encode()).hexdigest()[:16]
    return digest, tuple(own), tuple(others)


@cache
def import_closure(entries: tuple[str, ...]) -> tuple[dict[str, str], set[str]]:
    """(module -> code hash, other packages) reachable from the entries, but for what is left out.

    Thousands of jobs share a few closures: each is walked once, and its two parts are nobody's to change.
    """
    found: dict[str, str] = {}
    packages: set[str] = set()
    stack = list(entries)
    while stack:
        name = stack.pop()
        if name in found or (name.startswith(LEFT_OUT) and name not in KEPT):
            continue
        digest, own, others = module_facts(name)
        found[name] = digest
        packages |= set(others)
        stack.extend(own)
    return dict(sorted(found.items())), packages


@cache
def _distribution_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        names = importlib.metadata.packages_distributions().get(package, [])
        return (
            ",".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(set(names))) or "absent"
        )


@cache
def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@cache
def _files_beside(module: str) -> tuple[Path, ...]:
    """Data files beside a module: what is no code in `x/` beside `x.py`."""
    path = module_path(module)
    folder = path.with_suffix("") if path else None
    if not folder or not folder.is_dir():
        return ()
    return tuple(file for file in sorted(folder.iterdir()) if file.suffix != ".py")


def _shipped_files(modules: Iterable[str], options: dict[str, Any]) -> dict[str, str]:
    """Data files beside the modules whose name an option's value names."""
    wanted = {value for value in options.values() if isinstance(value, str)}
    return {
        f"{name.replace('.', '/')}/{file.name}": _file_hash(file)
        for name in modules
        for file in _files_beside(name)
        if file.name.split(".")[0] in wanted
    }


def fingerprint_parts(
    entries: Iterable[str],
    options: dict[str, Any],
    seed: int,
    upstream: Iterable[str],
    files: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The parts of a fingerprint, as kept in the sidecar so that a change can be named.

    `files` are further data files that the work reads, as name -> hash of the content.
    """
    modules, packages = import_closure(tuple(entries))
    return {
        "modules": modules,
        "files": _shipped_files(modules, options) | (files or {}),
        "options": dict(sorted(options.items())),
        "seed": seed,
        "upstream": list(upstream),
        "packages": {name: _distribution_version(name) for name in sorted(packages)},
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }


def fingerprint(parts: dict[str, Any]) -> str:
    """Hash of the parts: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def changes(before_parts: dict[str, Any], after_parts: dict[str, Any]) -> list[str]:
    """What differs between the parts of two fingerprints, one line each, by name and kind.

    As in `bench.nn.scan`, `option updates: 165 -> 300`, `file ...`, `package torch: 2.13.0 -> 2.14.0` and
    `python 3.11 -> 3.12`, with `(new)` or `(gone)` behind what only one of them has. Seed and upstream are
    left out: a job's upstream has parts of its own.
    """
    modules, files = (_changed(before_parts, after_parts, kind) for kind in ("modules", "files"))
    options, packages = (_changed(before_parts, after_parts, kind) for kind in ("options", "packages"))
    return [
        *(f"{name}{suffix}" for name, suffix, _ in modules),
        *(f"option {name}{suffix or f': {values}'}" for name, suffix, values in options),
        *(f"file {name}{suffix}" for name, suffix, _ in files),
        *(f"package {name}{suffix}" for name, suffix, version in packages if suffix and version != "absent"),
        *package_changes(before_parts, after_parts),
    ]


def package_changes(before_parts: dict[str, Any], after_parts: dict[str, Any]) -> list[str]:
    """The packages that both import in different versions, and Python if it differs, as `changes` has them.

    A package `absent` on either side is no change.
    """
    found = [
        f"package {name}: {versions}"
        for name, suffix, versions in _changed(before_parts, after_parts, "packages")
        if not suffix and "absent" not in versions.split(" -> ")
    ]
    pythons = [str(parts["python"]) for parts in (before_parts, after_parts) if "python" in parts]
    return [*found, f"python {' -> '.join(pythons)}"] if len(set(pythons)) > 1 else found


def _changed(before: dict[str, Any], after: dict[str, Any], kind: str) -> list[tuple[str, str, str]]:
    """(name, ` (new)` or ` (gone)` or nothing, `old -> new`) of every entry of a part that differs."""
    old, new = before.get(kind, {}), after.get(kind, {})
    found = []
    for name in sorted(old.keys() | new.keys()):
        texts = [_text(side[name]) for side in (old, new) if name in side]
        if len(texts) == 2 and json.dumps(old[name]) == json.dumps(new[name]):
            continue
        suffix = "" if len(texts) == 2 else " (new)" if name in new else " (gone)"
        found.append((name, suffix, " -> ".join(texts)))
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
