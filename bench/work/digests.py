"""A digest for each definition of the suite, of all the code it can run, and not of where that code stands.

Each name in a definition is replaced by the digest of what it is bound to (a Merkle tree), so renaming or
moving a module, a function or a constant leaves every digest as it is, and so do comments, docstrings, types
of functions and the order of imports. Functions that call each other in a circle are told apart by repeating
the replacement as often as the circle has members.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

from bench.errors import SpecError
from bench.work.circles import circles_below
from bench.work.modules import module_path
from bench.work.shape import Shape
from bench.work.syntax import Imported, Source, parse

# What the specification says arrives as resolved options. How a record is written, which of several GPUs
# a training is given, and what is noted of it, change no number.
LEFT_OUT = (
    "bench.catalogue",
    "bench.work",
    "bench.errors",
    "bench.files",
    "bench.stages.runner",
    "bench.stages.devices",
    "bench.stages.gpu_use",
)
# Every name of a module, and what importing it runs.
EVERYTHING, EFFECTS = "*", ""


class Symbol(NamedTuple):
    """A definition: its module and its name there."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Node:
    """A definition written down: its text, with a mark for each reference, and what the marks refer to."""

    text: str
    shallow: str
    references: tuple[Symbol, ...]
    packages: frozenset[str]


def is_left_out(module: str) -> bool:
    """Whether no number depends on a module."""
    return any(module == room or module.startswith(f"{room}.") for room in LEFT_OUT)


def own_module(name: str) -> bool:
    """Whether a dotted name is a module of this package."""
    return name.split(".")[0] == "bench" and module_path(name) is not None


@cache
def source_of(module: str) -> Source:
    """A module of this package, taken apart; ValueError, naming it, for an import that cannot be followed."""
    path = module_path(module)
    assert path is not None, module
    try:
        return parse(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def resolve(module: str, name: str) -> Symbol | Imported | None:
    """What a global name of a module stands for: a definition, a module or something of another package.

    None for what no statement of the module binds: a builtin.
    """
    source = source_of(module)
    if name in source.definitions:
        return Symbol(module, name)
    return follow(source.imports[name]) if name in source.imports else None


def follow(binding: Imported) -> Symbol | Imported | None:
    """What an import ends at, through modules that only pass a name on."""
    if not own_module(binding.module):
        return binding
    if not binding.name:
        return binding
    below = f"{binding.module}.{binding.name}"
    if own_module(below):
        return Imported(below)
    if is_left_out(binding.module):
        return Symbol(binding.module, binding.name)
    return resolve(binding.module, binding.name)


class _Writer:
    """Collects what one definition refers to while its text is written."""

    def __init__(self, symbol: Symbol) -> None:
        self.symbol = symbol
        self.references: list[Symbol] = []
        self.names: list[str] = []
        self.packages: set[str] = set()

    def refer(
        self, name: str, attributes: tuple[str, ...], imports: Mapping[str, Imported]
    ) -> tuple[str, int] | None:
        """See `bench.work.shape.Refer`."""
        found = follow(imports[name]) if name in imports else resolve(self.symbol.module, name)
        used = 0
        while isinstance(found, Imported) and used < len(attributes) and own_module(found.module):
            below = f"{found.module}.{attributes[used]}"
            if own_module(below):
                found = Imported(below)
            elif is_left_out(found.module):
                found = Symbol(found.module, attributes[used])
            else:
                found = resolve(found.module, attributes[used])
            used += 1
        if found is None:
            return None
        if isinstance(found, Symbol):
            return self._mark(found), used
        if own_module(found.module):
            return self._mark(Symbol(found.module, EVERYTHING)), used
        self.packages.add(found.module.split(".")[0])
        return ".".join(part for part in (found.module, found.name, *attributes) if part), len(attributes)

    def _mark(self, symbol: Symbol) -> str:
        if is_left_out(symbol.module):
            return f"<{symbol.name}>"
        self.references.append(symbol)
        return f"<{len(self.references) - 1}>"


@cache
def node_of(symbol: Symbol) -> Node:
    """A definition, written down; KeyError for a name that its module does not bind."""
    source = source_of(symbol.module)
    writer = _Writer(symbol)
    if symbol.name == EVERYTHING:
        writer.references = [Symbol(symbol.module, name) for name in sorted(source.definitions)]
        text = "module"
    elif symbol.name == EFFECTS:
        text = Shape(writer.refer, "").of(source.effects)
    else:
        text = Shape(writer.refer, symbol.name).of(source.definitions[symbol.name])
    names = ",".join(reference.name for reference in writer.references)
    packages = frozenset(writer.packages - set(sys.stdlib_module_names))
    return Node(text, _hash(f"{text}|{names}"), tuple(writer.references), packages)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Closure:
    """Everything that can run from some definitions, as `bench.stages.train.train`, or from whole modules.

    Raises SpecError, naming it, for a definition that its module does not have.
    """

    def __init__(self, roots: Iterable[str]) -> None:
        self.roots = [_root(name) for name in roots]

    @cached_property
    def symbols(self) -> frozenset[Symbol]:
        """Every definition that can be reached, and what importing their modules runs."""
        found: set[Symbol] = set()
        loaded: set[str] = set()
        stack = list(self.roots)
        while stack:
            symbol = stack.pop()
            if symbol in found:
                continue
            found.add(symbol)
            stack.extend(node_of(symbol).references)
            if symbol.module not in loaded:
                loaded.add(symbol.module)
                stack.extend(Symbol(module, EFFECTS) for module in loaded_with(symbol.module))
        return frozenset(found)

    def holds(self, module: str, name: str) -> bool:
        """Whether a definition counts: it can be reached, or it acts when its module is loaded."""
        if Symbol(module, name) in self.symbols:
            return True
        source = source_of(module)
        acts = any(statement in source.effects for statement in source.definitions.get(name, ()))
        return acts and module in self.modules

    @cached_property
    def modules(self) -> frozenset[str]:
        """Every module that is loaded."""
        return frozenset(symbol.module for symbol in self.symbols)

    @cached_property
    def packages(self) -> frozenset[str]:
        """Every other package that one of these definitions names."""
        return frozenset(package for symbol in self.symbols for package in node_of(symbol).packages)

    @cached_property
    def code(self) -> dict[str, str]:
        """Definition -> digest of its own text, for naming what changed."""
        return {
            str(symbol): node_of(symbol).shallow[:8]
            for symbol in sorted(self.symbols)
            if symbol.name != EVERYTHING and node_of(symbol).text
        }

    @cached_property
    def digest(self) -> str:
        """Of the definitions the closure starts from, in their order, and of what loading runs, in none."""
        effects = {
            digest_of(symbol) for symbol in self.symbols if symbol.name == EFFECTS and node_of(symbol).text
        }
        return _hash(",".join([*map(digest_of, self.roots), "|", *sorted(effects)]))


def _root(name: str) -> Symbol:
    """The definition of a dotted name, or everything in a module."""
    if own_module(name):
        return Symbol(name, EVERYTHING)
    module, _, last = name.rpartition(".")
    found = resolve(module, last) if own_module(module) else None
    if not isinstance(found, Symbol):
        raise SpecError(f"{module}: defines no {last}, which the suite looks for there by name. Add it.")
    return found


@cache
def loaded_with(module: str) -> frozenset[str]:
    """A module, the packages it lies in, and the modules it imports, at its head or in a function."""
    parts = module.split(".")
    found = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    for binding in source_of(module).imported:
        for name in (binding.module, f"{binding.module}.{binding.name}"):
            if own_module(name) and not is_left_out(name):
                found.add(name)
    return frozenset(found)


_digests: dict[Symbol, str] = {}


def digest_of(symbol: Symbol) -> str:
    """Of a definition with everything it refers to."""
    if symbol not in _digests:
        for circle in circles_below(symbol, lambda one: node_of(one).references, _digests):
            _digests.update(_colours(circle))
    return _digests[symbol]


def _colours(circle: list[Symbol]) -> dict[Symbol, str]:
    """Digests of definitions that refer to each other, or of a single one, all others being known."""
    colours = dict.fromkeys(circle, "")
    rounds = len(circle) + 1 if len(circle) > 1 or circle[0] in node_of(circle[0]).references else 1
    for _ in range(rounds):
        colours = {symbol: _replaced(symbol, colours) for symbol in circle}
    return colours


def _replaced(symbol: Symbol, colours: Mapping[Symbol, str]) -> str:
    node = node_of(symbol)
    below = [colours[one] if one in colours else _digests[one] for one in node.references]
    return _hash(f"{node.text}|{','.join(sorted(below) if symbol.name == EVERYTHING else below)}")
