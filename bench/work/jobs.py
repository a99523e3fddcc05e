"""Jobs: a stage of a cell (or of a dataset) for one seed in one tier, with its files and fingerprint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from bench.catalogue import folders
from bench.catalogue.load import load_catalogue
from bench.catalogue.real_data import content
from bench.catalogue.sources import assignment
from bench.catalogue.stages import STAGES, Stage
from bench.errors import SpecError
from bench.work.availability import check_sweep, root_of, why_missing
from bench.work.cells import (
    Cell,
    Resolved,
    cells_of,
    data_options,
    donor_cell,
    make_cell,
    option_names,
    resolve,
    trained_cell,
)
from bench.work.fingerprint import fingerprint, fingerprint_parts
from bench.work.stored import Key, from_store, stored_records, takes_stored

RESULTS = Path("results")
# Where a budget does not say what its dataset costs.
DATASET_CORE_SECONDS = 5.0


@dataclass(frozen=True)
class Job:
    """One unit of work. `cell.method` is empty for a dataset."""

    stage: str
    tier: str
    cell: Cell
    seed: int

    @property
    def row(self) -> Stage:
        """What is declared of its stage."""
        return STAGES[self.stage]

    @property
    def key(self) -> Key:
        """What names it in the store of its tier."""
        return (self.stage, self.cell.task, self.cell.method, self.cell.slug, self.seed)

    @property
    def folder(self) -> Path:
        """Where its files lie, relative to the working folder."""
        if self.row.subject == "task":
            return RESULTS / self.tier / "datasets" / self.cell.task / self.cell.slug
        return RESULTS / self.tier / "cells" / self.cell.key / f"seed-{self.seed}"

    @property
    def record(self) -> Path:
        """Its sidecar."""
        return self.folder / f"{self.stage}.json"

    @property
    def table(self) -> Path:
        """Its tidy numbers."""
        return self.folder / f"{self.stage}.csv"

    @property
    def arrays(self) -> Path:
        """What is too large for its table, such as attention maps; only some stages have it."""
        return self.folder / f"{self.stage}.npz"

    @cached_property
    def resolved(self) -> Resolved:
        """Its options in its tier."""
        return _resolved(self)

    @cached_property
    def upstream(self) -> list[Job]:
        """The jobs whose results it reads."""
        found = []
        for name in self.row.reads:
            # Cells that differ in the protocol's options alone share what does not depend on these.
            cell = self.cell if "protocol" in STAGES[name].options else trained_cell(self.cell)
            found.append(make_job(name, self.tier, cell, self.seed))
        if self.row.donor_if and self.row.reads_donor(self.resolved.options):
            donor = donor_cell(self.cell, self.resolved.options["donor"])
            found += [make_job(name, self.tier, donor, self.seed) for name in self.row.reads]
        return found

    @cached_property
    def options(self) -> dict[str, Any]:
        """The options its result depends on."""
        groups = self.row.options
        names = {name for group in groups for name in option_names(group, self.cell.task, self.cell.method)}
        return {key: value for key, value in self.resolved.options.items() if key in names}

    @cached_property
    def roots(self) -> list[str]:
        """The definitions from which its code starts, found by name."""
        own = self.stage.replace("-", "_")
        return [f"bench.stages.{own}.{own}", *(root_of(call, self.cell) for call in self.row.calls)]

    @cached_property
    def parts(self) -> dict[str, Any]:
        """What its fingerprint is made of."""
        files = content(load_catalogue().tasks[self.cell.task]) if self.row.subject == "task" else {}
        return fingerprint_parts(
            self.roots, self.options, self.seed, [j.fingerprint for j in self.upstream], files
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything its number depends on."""
        return fingerprint(self.parts)

    @property
    def core_seconds(self) -> float:
        """Estimated cost, from the tier."""
        return self.resolved.budget.core_seconds.get(self.stage, DATASET_CORE_SECONDS)

    @property
    def command(self) -> str:
        """The command that makes it again."""
        words = ["python", "-m", "bench", self.stage, "--tier", self.tier, "--task", self.cell.task]
        if self.cell.method:
            words += ["--method", self.cell.method, "--seed", str(self.seed)]
        data = assignment() if load_catalogue().tasks[self.cell.task].given else ""
        return folders.assignment() + data + " ".join([*words, "--settings", f"'{self.cell.slug}'"])

    def recorded(self) -> dict[str, Any] | None:
        """Its sidecar as it stands on disk; None if there is none or it cannot be read."""
        try:
            record: dict[str, Any] = json.loads(self.record.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return record

    @property
    def stored(self) -> dict[str, Any] | None:
        """Its sidecar in the committed store, whatever made it; None if there is none."""
        return stored_records(self.tier).get(self.key)

    @property
    def is_stored(self) -> bool:
        """Whether its result is read from the store: when all are, or when a run takes this one as done."""
        if from_store():
            return self.stored is not None
        if not takes_stored(self.tier) or self.stored is None:
            return False
        return self.stored["fingerprint"] == self.fingerprint and not self._is_current()

    def _is_current(self) -> bool:
        record = self.recorded()
        return record is not None and self.table.exists() and record.get("fingerprint") == self.fingerprint

    @property
    def state(self) -> str:
        """`current`, `stored`, `stale` (made by other code, options or data), or `missing`."""
        if self.is_stored:
            return "stored"
        if from_store() or not self.table.exists() or self.recorded() is None:
            return "missing"
        return "current" if self._is_current() else "stale"


@cache
def _resolved(job: Job) -> Resolved:
    if job.row.subject == "task":
        users = _dataset_users(job.tier)
        if job.cell not in users:
            raise SpecError(
                f"workflow/tiers/{job.tier}.yaml: nothing that an artifact shows is trained on "
                f"{job.cell.task} with settings {job.cell.slug!r}. Name such a cell in an artifact, and give "
                "it a budget."
            )
        return users[job.cell]
    resolved = resolve(job.tier, job.cell, job.stage)
    if resolved is None:
        raise SpecError(
            f"workflow/tiers/{job.tier}.yaml: no budget matches {job.cell.key} at stage {job.stage}. "
            f"Add a budget that names its task, method and settings, or choose another tier."
        )
    return resolved


def make_job(stage: str, tier: str, cell: Cell, seed: int) -> Job:
    """The job of a stage for a cell; a stage of a task has one for all cells with the same data."""
    if STAGES[stage].subject == "cell":
        return Job(stage, tier, cell, seed)
    names = load_catalogue().tasks[cell.task].data_names
    settings = tuple((key, value) for key, value in cell.settings if key in names)
    return Job(stage, tier, Cell(cell.task, "", settings), 0)


def dataset_job(tier: str, cell: Cell) -> Job:
    """The job that makes the dataset of a cell."""
    return make_job("dataset", tier, cell, 0)


@cache
def _dataset_users(tier: str) -> dict[Cell, Resolved]:
    """Dataset -> its options; SpecError where two budgets of the tier want it made differently."""
    found: dict[Cell, Resolved] = {}
    for cell in sorted(trained_cells(tier), key=lambda cell: cell.key):
        resolved = resolve(tier, cell, "train")
        assert resolved is not None
        key = dataset_job(tier, cell).cell
        wanted = data_options(cell, resolved.options)
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


@cache
def trained_cells(tier: str) -> frozenset[Cell]:
    """Every cell that some artifact wants trained, or swapped from, and that the tier has a budget for."""
    return frozenset(
        before.cell
        for name in load_catalogue().artifacts
        for entry in entries(name, tier)
        for job in entry.jobs(tier)
        for before in (job, *job.upstream)
        if "dataset" in before.row.reads
    )


@dataclass(frozen=True)
class Entry:
    """One number an artifact shows: a cell read by a metric, or a hyper-parameter read by its name.

    `missing` is empty where the tier runs it, else the reason it is not run.
    """

    artifact: str
    query: int
    cell: Cell
    metric: str
    label: str
    stage: str
    missing: str

    @property
    def rests_on_data(self) -> bool:
        """Whether its number is a score: settings, sizes and times rest on no data."""
        return bool(self.stage) and not STAGES[self.stage].costs

    @property
    def parts(self) -> tuple[Entry, ...]:
        """What it is derived from: a metric of its own cell and of the baseline; empty for a recorded one."""
        metric = load_catalogue().metrics.get(self.metric)
        if not self.stage or metric is None or metric.derived is None:
            return ()
        other = make_cell(self.cell.task, metric.derived.baseline, {})
        return tuple(replace(self, cell=cell, metric=metric.derived.metric) for cell in (self.cell, other))

    def jobs(self, tier: str) -> list[Job]:
        """The jobs this number is read from, one a seed and part."""
        if self.missing or not self.stage:
            return []
        if self.parts:
            return [job for part in self.parts for job in part.jobs(tier)]
        resolved = resolve(tier, self.cell, self.stage)
        assert resolved is not None
        limit = load_catalogue().artifacts[self.artifact].seeds
        return [Job(self.stage, tier, self.cell, seed) for seed in range(min(resolved.seeds, limit))]


@cache
def entries(artifact: str, tier: str) -> tuple[Entry, ...]:
    """Every number an artifact shows, in the order its file writes them."""
    return tuple(_entries(artifact, tier))


def _entries(artifact: str, tier: str) -> Iterator[Entry]:
    catalogue = load_catalogue()
    for number, query in enumerate(catalogue.artifact(artifact).cells):
        for cell in cells_of(query):
            for option in query.options:
                yield Entry(artifact, number, cell, option, query.label, "", "")
            for metric in query.metrics:
                stage = catalogue.metrics[metric].stage
                entry = Entry(artifact, number, cell, metric, query.label, stage, "")
                asked = [part.cell for part in entry.parts] or [cell]
                missing = next((why for each in asked if (why := why_missing(tier, each, stage))), "")
                if not missing:
                    check_sweep(tier, cell, stage, set(query.settings), artifact)
                yield replace(entry, missing=missing)


def all_jobs(tier: str, artifacts: tuple[str, ...] | None = None) -> list[Job]:
    """Every job the artifacts (default: all) need in this tier, upstream first, each once."""
    catalogue = load_catalogue()
    ordered: dict[Job, None] = {}

    def add(job: Job) -> None:
        for before in job.upstream:
            add(before)
        ordered.setdefault(job)

    for name in catalogue.artifacts if artifacts is None else artifacts:
        for entry in entries(name, tier):
            for job in entry.jobs(tier):
                add(job)
    return list(ordered)
