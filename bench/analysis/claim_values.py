"""What a comparison of a claim reads: the value of each side, task by task and unit by unit.

A unit is what is repeated: a seed, under which both sides meet the same episodes, or a turn, in which both
methods were timed one after the other in one process.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bench.analysis.readings import selected
from bench.catalogue.catalogue import Catalogue
from bench.catalogue.strict import Value
from bench.work.cells import Cell, recorded_cell, selection_of
from bench.work.claim import Comparison, Side
from bench.work.claims import is_ratio
from bench.work.record import Status
from bench.work.stored import TRAINED

# How a record names the processor as the device.
CPU = "cpu"
# What a unit is called, and its number.
Unit = tuple[str, int]


class Numbers:
    """The tidy numbers of a tier (columns as in cells.csv), found by their cell."""

    def __init__(self, catalogue: Catalogue, cells: pd.DataFrame) -> None:
        self.catalogue, self.cells = catalogue, cells
        # Comparing whole columns for each of a thousand reads would take longer than all else.
        self._places = cells.groupby(["task", "method", "settings"], sort=False).indices if len(cells) else {}
        self._found: dict[tuple[Cell, str], pd.DataFrame] = {}

    def whose(self, cell: Cell) -> pd.DataFrame:
        """All rows of a cell."""
        return self.cells.iloc[self._places.get((cell.task, cell.method, cell.slug), [])]

    def of(self, cell: Cell, metric: str) -> pd.DataFrame:
        """The rows of a metric of a cell that have a value."""
        if (cell, metric) not in self._found:
            rows = self.whose(recorded_cell(self.catalogue, self.catalogue.metrics[metric].stage, cell))
            self._found[cell, metric] = rows[(rows["metric"] == metric) & rows["value"].notna()]
        return self._found[cell, metric]


@dataclass
class Rows:
    """The numbers of a tier as one question reads them, and which of them it read."""

    numbers: Numbers
    read: list[pd.DataFrame] = field(default_factory=list)

    @property
    def catalogue(self) -> Catalogue:
        """What the numbers are of."""
        return self.numbers.catalogue

    def of(self, cell: Cell, metric: str) -> pd.DataFrame:
        """The rows of a metric of a cell that have a value."""
        return self.numbers.of(cell, metric)


@dataclass(frozen=True)
class Pairs:
    """Both sides on one task at one step of growth: (2, units), first above second."""

    task: str
    units: tuple[Unit, ...]
    values: np.ndarray


def pairs_on(rows: Rows, comparison: Comparison, number: int, more: Mapping[str, Value]) -> Pairs | None:
    """Both sides' values on the task of this number, for each unit that both have; None if there is none."""
    until = _equal_time(rows, comparison, number, more)
    if until is not None and not until:
        return None
    first = _values(rows, comparison, comparison.first, number, more, until)
    if isinstance(comparison.second, float):
        second = dict.fromkeys(first, comparison.second)
    else:
        second = _values(rows, comparison, comparison.second, number, more, until)
    units = tuple(sorted(first.keys() & second.keys()))
    if not units:
        return None
    values = np.array([[first[unit] for unit in units], [second[unit] for unit in units]])
    return Pairs(comparison.tasks[number], units, values)


def why_absent(rows: Rows, comparison: Comparison, number: int, more: Mapping[str, Value]) -> str:
    """Why a task that was tried has no pair: a side failed, or reached no checkpoint in time; else empty.

    What the tier never began is no answer, and gives none either.
    """
    sides = [comparison.first, comparison.second]
    metrics = {
        cell: side.metric or comparison.metric
        for side in sides
        if isinstance(side, Side)
        for cell in [side.cell(rows.catalogue, comparison.tasks, number, more)]
    }
    for cell, metric in metrics.items():
        record = recorded_cell(rows.catalogue, rows.catalogue.metrics[metric].stage, cell)
        for text in rows.numbers.whose(record)["status"].unique():
            status = Status.parse(text)
            if not (status.is_ok or status.kind == "not-run" or status.is_unavailable):
                return str(status)
    begun = all(not rows.of(cell, metric).empty for cell, metric in metrics.items())
    if comparison.matched == "updates" or not begun:
        return ""
    devices = _devices(rows, metrics)
    if not _comparable(devices):
        return f"trained on {' and '.join(sorted(devices))}, whose seconds do not compare"
    return "no checkpoint within the other's training time"


def side_values(
    rows: Rows, side: Side, metric: str, tasks: tuple[str, ...], number: int, more: Mapping[str, Value]
) -> dict[Unit, float]:
    """A side's value of a metric for each unit on one task, as it stands."""
    return _read(rows, side.cell(rows.catalogue, tasks, number, more), metric, None)


def _values(
    rows: Rows,
    comparison: Comparison,
    side: Side,
    number: int,
    more: Mapping[str, Value],
    until: Mapping[Unit, float] | None,
) -> dict[Unit, float]:
    cell = side.cell(rows.catalogue, comparison.tasks, number, more)
    values = {
        unit: side.times * value
        for unit, value in _read(rows, cell, side.metric or comparison.metric, until).items()
    }
    if side.against:
        base = _values(rows, comparison, side.against, number, more, until)
        ratio = is_ratio(rows.catalogue, comparison)
        values = {
            unit: value / base[unit] if ratio else value - base[unit]
            for unit, value in values.items()
            if unit in base
        }
    return values


def _read(rows: Rows, cell: Cell, metric: str, until: Mapping[Unit, float] | None) -> dict[Unit, float]:
    """A cell's value for each unit: of scores at the protocol's checkpoint, of costs each turn's."""
    found = rows.of(cell, metric)
    if found.empty:
        return {}
    rows.read.append(found)
    if rows.catalogue.metrics[metric].is_cost:
        return _turns(found)
    if until is not None:
        found = _before(rows, cell, found, until)
        if found.empty:
            return {}
    least = rows.catalogue.metrics[metric].better == "lower"
    means = selected(found, selection_of(rows.catalogue, cell), least).groupby("seed")["value"].mean()
    return {("seed", seed): mean for seed, mean in zip(means.index.tolist(), means.tolist(), strict=True)}


def _turns(found: pd.DataFrame) -> dict[Unit, float]:
    # Turns of one seed follow each other; those of the next are numbered on.
    found = found.sort_values(["seed", "index"])
    return {("turn", number): float(value) for number, value in enumerate(found["value"])}


def _equal_time(
    rows: Rows, comparison: Comparison, number: int, more: Mapping[str, Value]
) -> dict[Unit, float] | None:
    """The seconds of training that both sides have, by seed; None where updates are matched.

    Those are the processor's on a CPU and the wall's on a GPU. None are had by both that trained elsewhere.
    """
    if comparison.matched == "updates" or not isinstance(comparison.second, Side):
        return None
    sides = (comparison.first, comparison.second)
    cells = [side.cell(rows.catalogue, comparison.tasks, number, more) for side in sides]
    if not _comparable(_devices(rows, cells)):
        return {}
    spent = [{seed: each * last for seed, (each, last) in _pace(rows, cell).items()} for cell in cells]
    return {("seed", seed): min(one[seed] for one in spent) for seed in spent[0].keys() & spent[1].keys()}


def _devices(rows: Rows, cells: Iterable[Cell]) -> set[str]:
    """What the cells were trained on; the processor where the numbers do not say."""
    devices = set[str]()
    for cell in cells:
        losses = rows.of(cell, "training_loss")
        devices |= set(losses["device"]) if "device" in losses else {CPU}
    return devices


def _comparable(devices: set[str]) -> bool:
    """Whether seconds on these compare: on one device, not changed on the way (`cpu and some GPU`)."""
    return not any(" and " in device for device in devices) and len(devices) < 2


def _pace(rows: Rows, cell: Cell) -> dict[int, tuple[float, int]]:
    """Seed -> seconds of an update, and the number of updates.

    Of all updates, whatever processes made them. Rows from before these were told have only the seconds of
    the last process, by which a training that was taken up again looks faster than it was.
    """
    losses = rows.of(cell, "training_loss")
    pace = {}
    for seed in losses["seed"].unique().tolist():
        own = losses[losses["seed"] == seed]
        by_processor = "wall_over_processor" in own and _devices(rows, [cell]) == {CPU}
        busy = float(own["wall_over_processor"].iloc[0]) if by_processor else math.nan
        seconds = float(own[TRAINED].iloc[0]) if TRAINED in own else math.nan
        if math.isnan(seconds):
            seconds = float(own["seconds"].iloc[0]) / (busy if busy > 0 else 1.0)
        last = int(own["step"].max())
        if last > 0:
            pace[seed] = (seconds / last, last)
    return pace


def _before(rows: Rows, cell: Cell, found: pd.DataFrame, until: Mapping[Unit, float]) -> pd.DataFrame:
    """The rows of checkpoints that were reached within the given seconds; a hundredth more is as good."""
    pace = _pace(rows, cell)
    reached = [
        step * pace[seed][0] <= 1.01 * until.get(("seed", seed), 0.0) if seed in pace else False
        for seed, step in zip(found["seed"].tolist(), found["step"].tolist(), strict=True)
    ]
    return found[reached]
