"""An artifact, which is a file under `workflow/papers/`: a query over cells, and a layout that shows them.

A layout's `kind` is `table` or the name of a file in `bench/analysis/kinds/`, whose class `Layout` says what
else may stand beside it. Kinds are found by that name alone: nothing here imports one.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from bench.catalogue.names import Tasks
from bench.catalogue.strict import Name, OptionName, Strict, Value, said
from bench.errors import SpecError, unknown
from bench.files import shown

# The package of the figures' kinds. It may lie in several folders: what is in its `__path__` counts.
KINDS = "bench.analysis.kinds"
TABLE = "table"


class Unsaid(Strict):
    """A choice the paper leaves open, and the option it became; a table finds which artifacts vary it."""

    choice: str
    alternatives: tuple[str, ...] = Field(min_length=2)
    option: OptionName
    note: str = ""


class CellQuery(Strict):
    """A block of cells: every task x method x combination of settings, read by `metrics`.

    A query with `options` in place of `metrics` asks for resolved hyper-parameters instead of
    runs: its entries are filled from the paper tier's specification and cost nothing.
    """

    tasks: Tasks
    methods: tuple[Name, ...] = Field(min_length=1)
    settings: dict[OptionName, Value | tuple[Value, ...]] = Field(default_factory=dict)
    metrics: tuple[OptionName, ...] = ()
    options: tuple[OptionName, ...] = ()
    label: str = ""

    @model_validator(mode="after")
    def _metrics_or_options(self) -> CellQuery:
        if bool(self.metrics) == bool(self.options):
            raise ValueError("a cell query has either metrics or options, and not both")
        return self


class Layout(Strict):
    """How an artifact is shown; the fields of a subclass are the keys that `layout` may hold in its YAML."""

    # What a heading says of the intervals drawn; empty if the kind says it itself.
    intervals: ClassVar[str] = "95 % t-intervals"

    kind: str

    @property
    def named_fields(self) -> tuple[str, ...]:
        """What panels, lines, rows and so on are named after: `task`, `method`, `metric`, or an option."""
        return ()

    def check(self, artifact: Artifact, where: str) -> None:
        """Raise SpecError, beginning with `where`, if the artifact's cells cannot be shown like this."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: dict[str, Any]) -> dict[str, Any]:
        for key in given:
            if key not in cls.model_fields:
                raise said(unknown("key", str(key), cls.model_fields, f"key layout ({given['kind']})"))
        return given


class TableLayout(Layout):
    """Axes of a table; each axis joins the fields it names."""

    rows: tuple[str, ...] = Field(min_length=1)
    columns: tuple[str, ...] = Field(min_length=1)
    average: str = ""

    @property
    def named_fields(self) -> tuple[str, ...]:
        """Those of the rows, then those of the columns."""
        return (*self.rows, *self.columns)


def kinds() -> list[str]:
    """Every kind there is: tables, and the figures' kinds in all folders of their package."""
    found = pkgutil.iter_modules(importlib.import_module(KINDS).__path__)
    return sorted([TABLE, *(module.name for module in found if not module.name.startswith("_"))])


def layout_class(kind: str) -> type[Layout]:
    """The `Layout` of a kind; SpecError if there is no such kind, or if its file lacks a part of one."""
    if kind == TABLE:
        return TableLayout
    name = f"{KINDS}.{kind}"
    try:
        if not kind.isidentifier() or kind.startswith("_"):
            raise ModuleNotFoundError(name=name)
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A kind that is there may lack something that it imports itself.
        if error.name != name:
            raise
        raise unknown("kind", kind, kinds(), "key layout.kind", every=True) from None
    found: Any = getattr(module, "Layout", None)
    lacks = ""
    if not (inspect.isclass(found) and issubclass(found, Layout)):
        lacks = "a class Layout that derives from FigureLayout or PanelLayout"
    elif inspect.isabstract(found):
        lacks = f"in its class Layout {', '.join(sorted(found.__abstractmethods__))}"
    if lacks:
        raise SpecError(
            f"key layout.kind: {shown(Path(str(module.__file__)))} lacks {lacks}. Add it as in "
            'docs/extending.md, "A figure kind"'
        )
    return found


def _as_its_kind(given: Any) -> Layout:
    """The layout that a YAML file holds, as the class of its kind."""
    if isinstance(given, Layout):
        return given
    kind = given.get("kind") if isinstance(given, dict) else None
    if not isinstance(kind, str):
        example = "as in {kind: curve, x: episode, y: episode_return}"
        raise said(SpecError(f"key layout: needs a kind, {example}. Known: {', '.join(kinds())}."))
    try:
        return layout_class(kind).model_validate(given)
    except SpecError as error:
        raise said(error) from None


class Artifact(Strict):
    """One table or figure of a paper: a query over cells, and a way to show it."""

    title: str
    printed: str
    section: str
    layout: Annotated[SerializeAsAny[Layout], BeforeValidator(_as_its_kind)]
    cells: tuple[CellQuery, ...] = Field(min_length=1)
    seeds: int = Field(ge=1)
    unsaid: tuple[Unsaid, ...]
    note: str = ""
