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

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationInfo, model_validator

from bench.catalogue.names import Tasks, names_of
from bench.catalogue.paper import OpenChoice
from bench.catalogue.strict import Name, OptionName, Strict, Value, said
from bench.errors import SpecError, unknown
from bench.files import shown

# The package of the figures' kinds. It may lie in several folders: what is in its `__path__` counts.
KINDS = "bench.analysis.kinds"
TABLE = "table"


def _declared(given: object, info: ValidationInfo) -> object:
    """The open choice of the paper that a key names; what is written in place stays as it is."""
    if not isinstance(given, str):
        return given
    known = names_of(info).open_choices
    if given not in known:
        raise said(unknown("open choice", given, known, "key open_choices"))
    return known[given]


# Written once in `paper.yaml` and named by its key here, or written here if no other artifact has it.
NamedChoice = Annotated[OpenChoice, BeforeValidator(_declared, json_schema_input_type=Name | OpenChoice)]
Settings = dict[OptionName, Value | tuple[Value, ...]]


class CellQuery(Strict):
    """A block of cells: every task x method x combination of settings, read by `metrics`.

    A query with `options` in place of `metrics` asks for resolved hyper-parameters instead of
    runs: its entries are filled from the paper tier's specification and cost nothing.
    """

    tasks: Tasks
    methods: tuple[Name, ...] = Field(min_length=1)
    settings: Settings = Field(default_factory=dict)
    metrics: tuple[OptionName, ...] = ()
    options: tuple[OptionName, ...] = ()
    label: str = ""


class Variant(Strict):
    """What a labelled variant has of its own; the rest is its block's."""

    tasks: Tasks | None = None
    method: Name | None = None
    settings: Settings = Field(default={})


class CellBlock(Strict):
    """Cells as an artifact writes them: a query, or one for each of its labelled variants.

    A variant has its own method, tasks or settings, and the block's if it does not say. One that is made in
    another way on some tasks is a list.
    """

    tasks: Tasks | None = None
    methods: tuple[Name, ...] = ()
    settings: Settings = Field(default={})
    metrics: tuple[OptionName, ...] = ()
    options: tuple[OptionName, ...] = ()
    label: str = ""
    variants: dict[str, Variant | Annotated[tuple[Variant, ...], Field(min_length=1)]] = Field(default={})

    @property
    def labelled(self) -> list[tuple[str, Variant]]:
        """Each variant with its label; the block itself if it has none."""
        several = ((label, one if isinstance(one, tuple) else (one,)) for label, one in self.variants.items())
        return [(label, one) for label, ones in several for one in ones] or [(self.label, Variant())]

    @property
    def queries(self) -> tuple[CellQuery, ...]:
        """The queries that it stands for, in the order of its variants."""
        return tuple(
            CellQuery(
                tasks=variant.tasks or self.tasks or (),
                methods=(variant.method,) if variant.method else self.methods,
                settings={**self.settings, **variant.settings},
                metrics=self.metrics,
                options=self.options,
                label=label,
            )
            for label, variant in self.labelled
        )

    @model_validator(mode="after")
    def _complete(self) -> CellBlock:
        if bool(self.metrics) == bool(self.options):
            raise ValueError("a block of cells has either metrics or options, and not both")
        if self.label and self.variants:
            raise ValueError("the keys of variants are the labels, so that the block has no label of its own")
        for label, variant in self.labelled:
            beside = f" and its variant {label!r}" if self.variants else ""
            for key, written in (
                ("tasks", variant.tasks or self.tasks),
                ("methods", variant.method or self.methods),
            ):
                if not written:
                    raise ValueError(f"the block of cells{beside} names no {key}; add some")
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


def _as_its_kind(given: object) -> Layout:
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
    cells: tuple[CellBlock, ...] = Field(min_length=1)
    seeds: int = Field(ge=1)
    open_choices: tuple[NamedChoice, ...]
    # Other artifacts, of which what is printed of the same cell and metric stands beside it too.
    printed_in: tuple[OptionName, ...] = ()
    note: str = ""

    @property
    def queries(self) -> tuple[CellQuery, ...]:
        """Every query over cells, in the order written; an entry knows its own by its place in them."""
        return tuple(query for block in self.cells for query in block.queries)
