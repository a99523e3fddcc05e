"""Entries: every number that an artifact shows, and what a tier has to train for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from bench.catalogue.choices import READING, TEXT
from bench.catalogue.once import once
from bench.catalogue.stages import STAGES
from bench.errors import SpecError
from bench.work.availability import check_sweep, why_missing, why_unmeasured
from bench.work.cells import (
    Cell,
    Resolved,
    data_options,
    dataset_cell,
    grid_of,
    make_cell,
    reads_of,
    recorded_cell,
    resolve,
)
from bench.work.suite import Suite


@dataclass(frozen=True)
class Entry:
    """One number an artifact shows: a cell read by a metric, or a hyper-parameter read by its name.

    `asked` is the cell as the artifact names it, whatever the reading: printed numbers are filed under it.
    `reading` is that of `cell`. `missing` is empty where the tier runs it, else the reason why not.
    """

    suite: Suite = field(repr=False, compare=False)
    artifact: str
    query: int
    cell: Cell
    metric: str
    label: str
    stage: str
    missing: str
    asked: Cell
    reading: str

    @property
    def rests_on_data(self) -> bool:
        """Whether its number is a score: settings, sizes and times rest on no data."""
        return bool(self.stage) and not STAGES[self.stage].costs

    @property
    def parts(self) -> tuple[Entry, ...]:
        """What it is derived from: a metric of its own cell and of the baseline; empty for a recorded one."""
        metric = self.suite.catalogue.metrics.get(self.metric)
        if not self.stage or metric is None or metric.derived is None:
            return ()
        baseline = metric.derived.baseline
        other = make_cell(self.suite.catalogue, self.cell.task, baseline, {READING: self.reading})
        return tuple(replace(self, cell=cell, metric=metric.derived.metric) for cell in (self.cell, other))

    @property
    def recorded(self) -> tuple[Entry, ...]:
        """The entries whose records it is read from: its parts, or itself; none if nothing of it is run."""
        if self.missing or not self.stage:
            return ()
        return self.parts or (self,)


@once
def entries(suite: Suite, artifact: str, tier: str) -> tuple[Entry, ...]:
    """Every number an artifact shows, in the order its file writes them."""
    return tuple(_entries(suite, artifact, tier))


def _entries(suite: Suite, artifact: str, tier: str) -> Iterator[Entry]:
    catalogue = suite.catalogue
    for number, query in enumerate(catalogue.artifact(artifact).queries):
        for task, method, settings in grid_of(query):
            cell = make_cell(catalogue, task, method, settings)
            asked = make_cell(catalogue, task, method, settings | {READING: TEXT})
            reading = str(settings.get(READING, catalogue.reading.text))
            for option in query.options:
                yield Entry(suite, artifact, number, cell, option, query.label, "", "", asked, reading)
            for metric in query.metrics:
                stage = catalogue.metrics[metric].stage
                entry = Entry(suite, artifact, number, cell, metric, query.label, stage, "", asked, reading)
                read = [part.cell for part in entry.parts] or [cell]
                missing = next((why for one in read if (why := why_missing(catalogue, tier, one, stage))), "")
                missing = missing or why_unmeasured(catalogue, tier, cell, metric)
                if not missing:
                    # A reading sets other defaults, and a tier may reduce these as it may the usual ones.
                    check_sweep(catalogue, tier, cell, stage, set(query.settings) - {READING}, artifact)
                yield replace(entry, missing=missing)


@once
def trained_cells(suite: Suite, tier: str) -> frozenset[Cell]:
    """Every cell that some artifact wants trained, or swapped from, and that the tier has a budget for."""
    catalogue = suite.catalogue
    shown = (entry for name in catalogue.artifacts for entry in entries(suite, name, tier))
    wanted = {
        (one.stage, recorded_cell(catalogue, one.stage, one.cell))
        for entry in shown
        for one in entry.recorded
    }
    wanted |= {before for stage, cell in wanted for before in reads_of(catalogue, tier, stage, cell)}
    return frozenset(cell for stage, cell in wanted if "dataset" in STAGES[stage].reads)


@once
def dataset_users(suite: Suite, tier: str) -> dict[Cell, Resolved]:
    """Dataset -> its options; SpecError where two budgets of the tier want it made differently."""
    catalogue, found = suite.catalogue, dict[Cell, Resolved]()
    for cell in sorted(trained_cells(suite, tier), key=lambda cell: cell.key):
        resolved = resolve(catalogue, tier, cell, "train")
        assert resolved is not None
        key = dataset_cell(catalogue, cell)
        wanted = data_options(catalogue, cell, resolved.options)
        if key in found and found[key].options != wanted:
            differing = sorted(k for k in wanted if wanted[k] != found[key].options[k])
            raise SpecError(
                f"workflow/tiers/{tier}.yaml: budgets {resolved.budget.label!r} and "
                f"{found[key].budget.label!r} set {', '.join(differing)} of the dataset of {cell.task} "
                f"differently. Give it one value, or make it a setting of the cell."
            )
        if key not in found:
            found[key] = Resolved(key, tier, wanted, 1, resolved.budget)
    return found
