"""Cells, their canonical ids, and what a tier makes of them.

A cell is paper-independent: (task, method, settings), and the reading of the papers that these depart from.
Settings equal to the resolved default are dropped, and a cell has the shorter of the names that mean the
same, so that two artifacts that ask for the same thing share one cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from bench.catalogue.artifacts import CellQuery
from bench.catalogue.catalogue import Catalogue
from bench.catalogue.check import check_settings
from bench.catalogue.choices import READING, TEXT, ReadingName, parse_reading
from bench.catalogue.models import SELECTION, Selection
from bench.catalogue.once import once
from bench.catalogue.stages import STAGES, OptionGroup
from bench.catalogue.strict import Value
from bench.catalogue.tiers import Budget
from bench.catalogue.values import choices_on, exact, typed
from bench.errors import SpecError
from bench.files import shown
from bench.work.asked import NOTHING, Asked, ask, departures, name_of


@dataclass(frozen=True, order=True)
class Cell:
    """One trained-and-evaluated thing: task, method, and the settings that differ from its reading.

    The reading is empty for `text`, whose values are the defaults.
    """

    task: str
    method: str
    settings: tuple[tuple[str, Value], ...] = ()
    reading: str = ""

    @property
    def slug(self) -> str:
        """The settings as one folder name: `key=value,...` in alphabetical order, or `default`."""
        return slug_of(self.named)

    @property
    def named(self) -> dict[str, Value]:
        """What its name says: the settings, and the reading unless it is `text`."""
        return dict(self.settings) | ({READING: self.reading} if self.reading else {})

    @property
    def key(self) -> str:
        """The cell's id: `task/method/slug`."""
        return f"{self.task}/{self.method}/{self.slug}"


def slug_of(settings: dict[str, Any]) -> str:
    """Settings as one folder name."""
    return ",".join(f"{key}={_text(value)}" for key, value in sorted(settings.items())) or "default"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_slug(catalogue: Catalogue, task: str, method: str, slug: str) -> Cell:
    """The cell named by a folder or a command line; values take the type of their option.

    An empty method names the task's dataset alone.
    """
    catalogue.task(task)
    if method:
        catalogue.method(method)
    options = catalogue.options(task, method or None)
    settings: dict[str, Any] = {}
    for pair in [] if slug == "default" else slug.split(","):
        key, separator, text = pair.partition("=")
        if not separator:
            raise SpecError(f"settings {slug!r}: expected key=value pairs joined by commas, or 'default'.")
        if key in options:
            settings[key] = typed(text, options[key].default, f"settings {slug!r}: option {key}")
        else:
            settings[key] = text
    check_settings(catalogue, settings, options, f"settings {slug!r} of {method} on {task}")
    # A name says everything, whatever the reading of the run.
    return make_cell(catalogue, task, method, {READING: TEXT} | settings)


def make_cell(catalogue: Catalogue, task: str, method: str, settings: Mapping[str, Any]) -> Cell:
    """The canonical cell of settings, which may name a reading; the run's own holds where they do not."""
    own = {key: value for key, value in settings.items() if key != READING}
    reading = _reading(catalogue, settings[READING]) if READING in settings else catalogue.reading
    return _named(catalogue, ask(catalogue, task, method, reading, own))


def _reading(catalogue: Catalogue, name: str) -> ReadingName:
    return parse_reading(name or TEXT, catalogue.choices, "settings")


def _named(catalogue: Catalogue, asked: Asked, ignored: Set[str] = NOTHING) -> Cell:
    reading, settings = name_of(catalogue, asked, ignored)
    return Cell(asked.task, asked.method, settings, reading)


@once
def asked_by(catalogue: Catalogue, cell: Cell) -> Asked:
    """What the name of a cell asks for."""
    reading = _reading(catalogue, cell.reading)
    return ask(catalogue, cell.task, cell.method, reading, dict(cell.settings))


def values_of(catalogue: Catalogue, cell: Cell) -> dict[str, Any]:
    """Every option of a cell, before a tier sets any."""
    return asked_by(catalogue, cell).values(catalogue)


def selection_of(catalogue: Catalogue, cell: Cell) -> Selection:
    """Which checkpoint the numbers of a cell are read at."""
    selection: Selection = values_of(catalogue, cell)[SELECTION]
    return selection


def grid_of(query: CellQuery) -> list[tuple[str, str, dict[str, Value]]]:
    """(task, method, settings) of every cell of a query, in the order written, one within the other."""
    grid = {key: value if isinstance(value, tuple) else (value,) for key, value in query.settings.items()}
    return [
        (task, method, dict(zip(grid, values, strict=True)))
        for task in query.tasks
        for method in query.methods
        for values in product(*grid.values())
    ]


def cells_of(catalogue: Catalogue, query: CellQuery) -> list[Cell]:
    """Every cell of a query, in the order written: tasks, then methods, then settings."""
    return [make_cell(catalogue, *asked) for asked in grid_of(query)]


@dataclass(frozen=True)
class Resolved:
    """A cell in a tier: every option's value, its replicates, and what the paper has in their place."""

    cell: Cell
    tier: str
    options: dict[str, Any]
    seeds: int
    budget: Budget


def find_budget(catalogue: Catalogue, tier_name: str, cell: Cell, stage: str) -> Budget | None:
    """The budget of the tier that matches the cell and stage; None: not run in this tier.

    Of several, the one that is more specific than each other; SpecError if there is none. A lab's file is
    asked if the suite's has no budget that matches.
    """
    catalogue.tier(tier_name)
    for path, spending in catalogue.spendings[tier_name].items():
        matching = [budget for budget in spending.budgets if budget.names(cell.task, cell.method, stage)]
        if matching:
            seen = _as_seen(catalogue, cell, stage)
            matching = [budget for budget in matching if any(budget.allows(*view) for view in seen)]
        if matching:
            return _most_specific(matching, f"{shown(path)}: {cell.key} at stage {stage}")
    return None


@once
def _as_seen(catalogue: Catalogue, cell: Cell, stage: str) -> list[tuple[dict[str, Value], dict[str, Any]]]:
    """A cell's settings as a budget may name them, each with the values that they depart from.

    They depart from `text`, or the reading of the run, or that of the cell, which a budget has to name then.
    What a stage does not depend on is no setting of it: a training is shared by all that is asked of it.
    """
    asked = asked_by(catalogue, cell)
    ignored = _ignored(catalogue, stage, cell.task)
    free = {ReadingName(), catalogue.reading}
    seen = []
    for reading in dict.fromkeys([*free, _reading(catalogue, cell.reading)]):
        settings, values = departures(catalogue, asked, reading)
        settings = {key: value for key, value in settings.items() if key not in ignored}
        if reading not in free:
            settings[READING] = reading.text
        seen.append((settings, {READING: TEXT, **values}))
    return seen


def _most_specific(budgets: list[Budget], where: str) -> Budget:
    """The one of these that is more specific than each other; SpecError, naming two, if there is none."""
    best = budgets[0]
    for budget in budgets[1:]:
        best = budget if budget.is_more_specific(best) else best
    for budget in budgets:
        if budget is not best and not best.is_more_specific(budget):
            raise SpecError(
                f"{where}: budgets {best.label!r} and {budget.label!r} both match, and neither is more "
                "specific. Let one name fewer tasks, methods or settings: their order carries no meaning."
            )
    return best


def resolve(catalogue: Catalogue, tier_name: str, cell: Cell, stage: str) -> Resolved | None:
    """The cell with every option set: defaults, what its reading scales, the tier's budget, what it holds."""
    budget = find_budget(catalogue, tier_name, cell, stage)
    if budget is None:
        return None
    return Resolved(cell, tier_name, options_under(catalogue, cell, budget), budget.seeds, budget)


def options_under(catalogue: Catalogue, cell: Cell, budget: Budget) -> dict[str, Any]:
    """Every option of a cell under a budget; what the budget sets and the cell lacks is left out."""
    asked = asked_by(catalogue, cell)
    known = catalogue.options(cell.task, cell.method)
    set_here = {key: value for key, value in budget.options.items() if key in known}
    return asked.usual(catalogue) | exact(set_here, known) | dict(asked.held)


def option_names(catalogue: Catalogue, group: OptionGroup, task: str, method: str) -> Iterable[str]:
    """The options of a group that a stage's result can depend on."""
    match group:
        case "data":
            return catalogue.tasks[task].data_names
        case "method":
            return [*catalogue.tasks[task].model_options, *catalogue.method_options[method]]
        case "protocol":
            return catalogue.protocols[catalogue.tasks[task].protocol].options
        case "probe":
            return catalogue.probe_options


def data_options(catalogue: Catalogue, cell: Cell, options: Mapping[str, object]) -> dict[str, object]:
    """The part of a cell's options that its dataset depends on."""
    task = catalogue.tasks[cell.task]
    return {key: options[key] for key in task.data_names}


def trained_cell(catalogue: Catalogue, cell: Cell) -> Cell:
    """The cell whose training a cell is evaluated from: what it asks for, but for the protocol's options."""
    return recorded_cell(catalogue, "train", cell)


@once
def recorded_cell(catalogue: Catalogue, stage: str, cell: Cell) -> Cell:
    """The cell that a stage's record of a cell belongs to: without what the stage does not depend on.

    Cells that differ in the protocol's options alone share a training, and those that differ in how records
    are read share everything.
    """
    if STAGES[stage].subject == "task":
        return dataset_cell(catalogue, cell)
    return _without(catalogue, asked_by(catalogue, cell), _ignored(catalogue, stage, cell.task))


def _ignored(catalogue: Catalogue, stage: str, task: str) -> Set[str]:
    """The options of a task's protocol that no result of a stage depends on."""
    protocol = catalogue.protocols[catalogue.tasks[task].protocol]
    tested = "protocol" in STAGES[stage].options
    return protocol.drawn.keys() if tested else protocol.drawn.keys() | protocol.options.keys()


def _without(catalogue: Catalogue, asked: Asked, ignored: Set[str]) -> Cell:
    """The cell that asks for the same, whatever it has of the options that are ignored."""
    choices = choices_on(catalogue, asked.task, asked.method)
    scale = {name for name in asked.scale if name in choices and not set(choices[name].options) <= ignored}
    held = {key: value for key, value in asked.held.items() if key not in ignored}
    return _named(catalogue, replace(asked, scale=frozenset(scale), held=held), ignored)


def donor_cell(catalogue: Catalogue, cell: Cell, donor: str) -> Cell:
    """The cell of another task whose trained model gives its hidden attention: the same method and variant.

    Raises SpecError where no task is called so.
    """
    catalogue.task(donor, f"option donor of {cell.key}")
    own = set(option_names(catalogue, "method", cell.task, cell.method))
    settings = {key: value for key, value in cell.settings if key in own}
    return make_cell(catalogue, donor, cell.method, {READING: cell.reading} | settings)


def cloned_cell(catalogue: Catalogue, cell: Cell) -> Cell:
    """The cell whose training gives a cell of frames its encoder: behaviour cloning of the same data."""
    task = catalogue.tasks[cell.task]
    shared = {*task.data_names, *task.model_options} - {"encoder"}
    settings = {key: value for key, value in cell.settings if key in shared}
    return make_cell(catalogue, cell.task, "bc", {READING: TEXT, "encoder": "end-to-end"} | settings)


def where_run(catalogue: Catalogue, cell: Cell, stage: str) -> str:
    """The first tier, from the smallest, that has a budget for a stage of a cell, in words."""
    for tier in ("quick", "cpu", "paper"):
        if tier in catalogue.tiers and resolve(catalogue, tier, cell, stage) is not None:
            return f"needs the {tier} tier"
    return "no tier runs it yet"


def reads_of(catalogue: Catalogue, tier: str, stage: str, cell: Cell) -> list[tuple[str, Cell]]:
    """The stages, each with its cell, whose records a stage of a cell reads in a tier that runs it."""
    row, found = STAGES[stage], []
    for name in row.reads:
        found.append((name, recorded_cell(catalogue, name, cell)))
    resolved = resolve(catalogue, tier, cell, stage) if row.donor_if or row.clone_if else None
    if resolved and row.reads_donor(resolved.options):
        donor = donor_cell(catalogue, cell, resolved.options["donor"])
        found += [(name, recorded_cell(catalogue, name, donor)) for name in row.reads]
    if resolved and row.reads_clone(resolved.options):
        found.append((stage, cloned_cell(catalogue, cell)))
    return found


def dataset_cell(catalogue: Catalogue, cell: Cell) -> Cell:
    """What names the dataset of a cell: its task, and what it asks of the options that the data depend on."""
    names = set(catalogue.tasks[cell.task].data_names)
    asked = replace(asked_by(catalogue, cell), method="")
    others = asked.held.keys() | catalogue.options(cell.task, None).keys()
    return _without(catalogue, asked, others - names)
