"""Jobs: a stage of a cell (or of a dataset) for one seed in one tier, with its files and fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast

from bench.catalogue.once import once
from bench.catalogue.option_types import Options
from bench.catalogue.real_data import content
from bench.catalogue.stages import STAGES, Stage
from bench.errors import SpecError
from bench.work.availability import root_of
from bench.work.cells import Cell, Resolved, option_names, options_under, reads_of, recorded_cell, resolve
from bench.work.entries import dataset_users
from bench.work.fingerprint import Ingredients, fingerprint, fingerprint_parts
from bench.work.integrity import first_trouble
from bench.work.record import Key, Record, read_record
from bench.work.rivals import Rival, rival_cell
from bench.work.suite import Suite

RESULTS = Path("results")
# Where a budget does not say what its dataset costs.
DATASET_CORE_SECONDS = 5.0


@dataclass(frozen=True)
class Job:
    """One unit of work. `cell.method` is empty for a dataset."""

    suite: Suite = field(repr=False, compare=False)
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

    @property
    def arrays_name(self) -> Path:
        """Where these lie, relative to the folder of its tier."""
        return self.arrays.relative_to(RESULTS / self.tier)

    @cached_property
    def resolved(self) -> Resolved:
        """Its options in its tier."""
        return _resolved(self.suite, self)

    @cached_property
    def upstream(self) -> list[Job]:
        """The jobs whose results it reads."""
        read = reads_of(self.suite.catalogue, self.tier, self.stage, self.cell)
        return [make_job(self.suite, name, self.tier, cell, self.seed) for name, cell in read]

    @cached_property
    def options(self) -> Options:
        """The options its result depends on."""
        return self._depended_on(self.cell, self.resolved.options)

    def _depended_on(self, cell: Cell, options: Mapping[str, object]) -> Options:
        """The options of a cell in the groups that are declared of its stage."""
        catalogue = self.suite.catalogue
        groups = (option_names(catalogue, group, cell.task, cell.method) for group in self.row.options)
        names = {name for group in groups for name in group}
        return cast(Options, {key: value for key, value in options.items() if key in names})

    @cached_property
    def rival(self) -> Rival | None:
        """What it is timed against, under its own budget; None where its cell or its stage has no rival."""
        catalogue = self.suite.catalogue
        cell = rival_cell(catalogue, self.cell) if self.row.times_rival else None
        if cell is None:
            return None
        return Rival(cell, self._depended_on(cell, options_under(catalogue, cell, self.resolved.budget)))

    @cached_property
    def roots(self) -> list[str]:
        """The definitions from which its code starts, found by name."""
        own, catalogue = self.stage.replace("-", "_"), self.suite.catalogue
        roots = [
            f"bench.stages.{own}.{own}",
            *(root_of(catalogue, call, self.cell) for call in self.row.calls),
        ]
        if self.rival:
            of_method = (call for call in self.row.calls if call.startswith("method."))
            roots += [root_of(catalogue, call, self.rival.cell) for call in of_method]
        return list(dict.fromkeys(roots))

    @cached_property
    def parts(self) -> Ingredients:
        """What its fingerprint is made of."""
        files = content(self.suite.catalogue.tasks[self.cell.task]) if self.row.subject == "task" else {}
        options: dict[str, object] = {**self.options}
        if self.rival:
            options |= {f"rival.{name}": value for name, value in self.rival.options.items()}
        return fingerprint_parts(
            self.roots, options, self.seed, [j.fingerprint for j in self.upstream], files
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
    def alone(self) -> bool:
        """Whether nothing else may run meanwhile: a probe that counts and times nothing does not mind."""
        return self.row.alone and self.options.get("probe_repeats") != 0

    @property
    def command(self) -> str:
        """The command that makes it again."""
        words = ["python", "-m", "bench", self.stage, "--tier", self.tier, "--task", self.cell.task]
        if self.cell.method:
            words += ["--method", self.cell.method, "--seed", str(self.seed)]
        given = self.suite.assignments(self.cell.task)
        return given + " ".join([*words, "--settings", f"'{self.cell.slug}'"])

    def recorded(self) -> Record:
        """Its sidecar as it stands on disk; one that is absent or damaged says so by its status."""
        return read_record(self.record, self.key)

    @property
    def result(self) -> Record:
        """Its record from the suite's source; one that is absent or damaged says so by its status."""
        return self.suite.source.record(self)

    @property
    def stored(self) -> Record | None:
        """Its record in the committed store, whatever made it; None if there is none."""
        return self.suite.store.taken(self)

    @property
    def takes_stored(self) -> bool:
        """Whether a run of its tier takes a stored result of its fingerprint as done."""
        return self.suite.catalogue.tier(self.tier).takes_stored

    @cached_property
    def trouble(self) -> str:
        """What is wrong with a file that its record lists, data and checkpoints too; empty where nothing is.

        Reads them all, once.
        """
        return first_trouble(self.folder, self.recorded().files, self.record)

    @property
    def remedy(self) -> str:
        """How it is made again where one of its files is damaged."""
        return f"Make it again: snakemake all --config tier={self.tier} retry=true"

    @property
    def state(self) -> str:
        """`current`, `stored`, `stale` (made by other code, options or data), `damaged`, or `missing`."""
        return self.suite.source.state(self)


@once
def _resolved(suite: Suite, job: Job) -> Resolved:
    if job.row.subject == "task":
        users = dataset_users(suite, job.tier)
        if job.cell not in users:
            raise SpecError(
                f"workflow/tiers/{job.tier}.yaml: nothing that an artifact shows is trained on "
                f"{job.cell.task} with settings {job.cell.slug!r}. Name such a cell in an artifact, and give "
                "it a budget."
            )
        return users[job.cell]
    resolved = resolve(suite.catalogue, job.tier, job.cell, job.stage)
    if resolved is None:
        raise SpecError(
            f"workflow/tiers/{job.tier}.yaml: no budget matches {job.cell.key} at stage {job.stage}. "
            f"Add a budget that names its task, method and settings, or choose another tier."
        )
    return resolved


def make_job(suite: Suite, stage: str, tier: str, cell: Cell, seed: int) -> Job:
    """The job of a stage for a cell: one for all cells that ask the same of the stage."""
    whose = recorded_cell(suite.catalogue, stage, cell)
    return Job(suite, stage, tier, whose, seed if STAGES[stage].subject == "cell" else 0)


def dataset_job(suite: Suite, tier: str, cell: Cell) -> Job:
    """The job that makes the dataset of a cell."""
    return make_job(suite, "dataset", tier, cell, 0)
