"""Cells, their canonical ids, and what a tier makes of them.

A cell is paper-independent: (task, method, settings). Settings equal to the resolved default
are dropped, so that two artifacts that ask for the same thing share one cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from bench.catalogue.artifacts import CellQuery
from bench.catalogue.catalogue import Catalogue
from bench.catalogue.check import check_values
from bench.catalogue.models import OptionTable
from bench.catalogue.stages import STAGES, OptionGroup
from bench.catalogue.strict import Value
from bench.catalogue.tiers import Budget
from bench.errors import SpecError
from bench.files import shown


@dataclass(frozen=True, order=True)
class Cell:
    """One trained-and-evaluated thing: task, method, and the settings that differ from defaults."""

    task: str
    method: str
    settings: tuple[tuple[str, Value], ...] = ()

    @property
    def slug(self) -> str:
        """The settings as one folder name: `key=value,...` in alphabetical order, or `default`."""
        return slug_of(dict(self.settings))

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
        if key not in options:
            check_values({key: text}, options, f"settings {slug!r} of {method} on {task}")
        settings[key] = _typed(text, options[key].default, f"settings {slug!r}: option {key}")
    check_values(settings, options, f"settings {slug!r} of {method} on {task}")
    return make_cell(catalogue, task, method, settings)


def _typed(text: str, default: Value, where: str) -> Value:
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise SpecError(f"{where}: expected true or false, got {text!r}.")
        return text == "true"
    try:
        return type(default)(text)
    except ValueError:
        raise SpecError(f"{where}: expected {type(default).__name__}, got {text!r}.") from None


def defaults(catalogue: Catalogue, task: str, method: str | None) -> dict[str, Any]:
    """Resolved values before any tier or setting: option defaults, then task, then per-task values."""
    values = {name: option.default for name, option in catalogue.options(task, method).items()}
    values |= catalogue.tasks[task].values
    if method:
        for override in catalogue.methods[method].per_task:
            if task in override.tasks:
                values |= override.values_given(values)
    return _exact(values, catalogue.options(task, method))


def _exact(values: dict[str, Any], options: OptionTable) -> dict[str, Any]:
    """The values in the types of their options: a 1 written for a 1.0 would name the same cell twice."""
    return {key: float(v) if isinstance(options[key].default, float) else v for key, v in values.items()}


def make_cell(catalogue: Catalogue, task: str, method: str, settings: dict[str, Any]) -> Cell:
    """The canonical cell: settings equal to their default are dropped, the rest sorted."""
    base = defaults(catalogue, task, method or None)
    exact = _exact(settings, catalogue.options(task, method or None))
    return Cell(task, method, tuple(sorted((k, v) for k, v in exact.items() if base[k] != v)))


def cells_of(catalogue: Catalogue, query: CellQuery) -> list[Cell]:
    """Every cell of a query, in the order written: tasks, then methods, then settings."""
    grid = {key: value if isinstance(value, tuple) else (value,) for key, value in query.settings.items()}
    return [
        make_cell(catalogue, task, method, dict(zip(grid, values, strict=True)))
        for task in query.tasks
        for method in query.methods
        for values in product(*grid.values())
    ]


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
            base = defaults(catalogue, cell.task, cell.method)
            matching = [budget for budget in matching if budget.allows(dict(cell.settings), base)]
        if matching:
            return _most_specific(matching, f"{shown(path)}: {cell.key} at stage {stage}")
    return None


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
    """The cell with every option set: defaults, then the tier's budget, then the cell's own settings."""
    budget = find_budget(catalogue, tier_name, cell, stage)
    if budget is None:
        return None
    known = catalogue.options(cell.task, cell.method)
    options = (
        defaults(catalogue, cell.task, cell.method) | _exact(budget.options, known) | dict(cell.settings)
    )
    return Resolved(cell, tier_name, options, budget.seeds, budget)


def option_names(catalogue: Catalogue, group: OptionGroup, task: str, method: str) -> Iterable[str]:
    """The options of a group that a stage's result can depend on."""
    match group:
        case "data":
            return catalogue.tasks[task].data_names
        case "method":
            return catalogue.method_options[method]
        case "protocol":
            return catalogue.protocols[catalogue.tasks[task].protocol].options
        case "probe":
            return catalogue.probe_options


def data_options(catalogue: Catalogue, cell: Cell, options: Mapping[str, object]) -> dict[str, object]:
    """The part of a cell's options that its dataset depends on."""
    task = catalogue.tasks[cell.task]
    return {key: options[key] for key in task.data_names}


def trained_cell(catalogue: Catalogue, cell: Cell) -> Cell:
    """The cell whose training a cell is evaluated from: its own settings, but for the protocol's."""
    protocol = catalogue.protocols[catalogue.tasks[cell.task].protocol].options
    return Cell(cell.task, cell.method, tuple(pair for pair in cell.settings if pair[0] not in protocol))


def donor_cell(catalogue: Catalogue, cell: Cell, donor: str) -> Cell:
    """The cell of another task whose trained model gives its hidden attention: the same method and variant.

    Raises SpecError where no task is called so.
    """
    catalogue.task(donor, f"option donor of {cell.key}")
    own = catalogue.method_options[cell.method]
    return make_cell(
        catalogue, donor, cell.method, {key: value for key, value in cell.settings if key in own}
    )


def where_run(catalogue: Catalogue, cell: Cell, stage: str) -> str:
    """The first tier, from the smallest, that has a budget for a stage of a cell, in words."""
    for tier in ("quick", "cpu", "paper"):
        if tier in catalogue.tiers and resolve(catalogue, tier, cell, stage) is not None:
            return f"{tier} tier"
    return "no tier runs it yet"


def reads_of(catalogue: Catalogue, tier: str, stage: str, cell: Cell) -> list[tuple[str, Cell]]:
    """The stages, each with its cell, whose records a stage of a cell reads in a tier that runs it."""
    row, found = STAGES[stage], []
    for name in row.reads:
        # Cells that differ in the protocol's options alone share what does not depend on these.
        own = cell if "protocol" in STAGES[name].options else trained_cell(catalogue, cell)
        found.append((name, own))
    resolved = resolve(catalogue, tier, cell, stage) if row.donor_if else None
    if resolved and row.reads_donor(resolved.options):
        donor = donor_cell(catalogue, cell, resolved.options["donor"])
        found += [(name, donor) for name in row.reads]
    return found


def dataset_cell(catalogue: Catalogue, cell: Cell) -> Cell:
    """What names the dataset of a cell: its task and the settings that the data depend on."""
    names = catalogue.tasks[cell.task].data_names
    return Cell(cell.task, "", tuple((key, value) for key, value in cell.settings if key in names))
