"""Measure a tier's budgets by a few updates and episodes: `python -m bench calibrate --tier cpu`.

Of each budget the first cell is measured, or as many as `--cells` says, in processor seconds of one thread:

    dataset     made, or its record read
    train       what is done before the first update, and an update, times the updates
    evaluate    one checkpoint, of a model with those few updates, times the checkpoints. Robots under such a
                model fall early: what is measured is a step of their test, times an episode that is longer
                than nineteen in twenty of the data's, as the longest of twenty in a test is
    probe       run

Loading torch's compiler, which each of them but a dataset does, is measured once and added. What looks into
trained models (`attend`, `intervene`) is not measured: a record of a run says what it costs. Datasets are
left in the working folder, where a run that follows uses them.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import typer

from bench.datasets.histories import Histories
from bench.datasets.trajectories import Trajectories
from bench.errors import SpecError, exit_with_message
from bench.files import write_atomically
from bench.methods.base import make_learner
from bench.stages.checkpoints import checkpoint_steps, dataset_facts, imported_test, test_options
from bench.stages.dataset import dataset
from bench.stages.probe import probe
from bench.stages.runner import run
from bench.stages.runtime import one_thread
from bench.stages.train import Run
from bench.work.availability import collector_module
from bench.work.cells import Cell
from bench.work.jobs import Job
from bench.work.plan import all_jobs, must_jobs
from bench.work.suite import Suite
from bench.worlds.contract import TestRows

# Updates before the timed ones: kernels are compiled, or read from their cache, in the first.
WARM_UPDATES = 2
# Of the lengths of the data's episodes, the one that a test of twenty side by side is taken to last.
LONGEST = 0.95
COLUMNS = "budget,stage,cell,jobs,planned,measured"


@dataclass(frozen=True)
class Line:
    """What a cell was planned at in a stage and measured at, in core-seconds; `jobs` are its budget's."""

    job: Job
    jobs: int
    measured: float

    @property
    def text(self) -> str:
        """A row of the table."""
        label = self.job.resolved.budget.label.replace('"', "'")
        fields = [f'"{label}"', self.job.stage, f'"{self.job.cell.key}"', str(self.jobs)]
        return ",".join([*fields, f"{self.job.core_seconds:g}", f"{self.measured:.3g}"])


class Counting:
    """A world that counts the episodes it begins and the steps it is asked for."""

    def __init__(self, world: Any) -> None:
        self.world, self.episodes, self.steps = world, 0, 0

    def reset(self) -> Any:
        """Begin an episode everywhere."""
        self.episodes += 1
        return self.world.reset()

    def step(self, actions: Any) -> Any:
        """One step of all environments."""
        self.steps += 1
        return self.world.step(actions)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world, name)


def seconds_of(work: Callable[[], object]) -> float:
    """Processor seconds of some work."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def made(source: Job) -> float:
    """Make a dataset where it is not current; its processor seconds by its record."""
    if source.state != "current":
        run(source, dataset)
    return source.recorded().cpu_seconds or 0.0


def trained_briefly(trained: Job, data: Trajectories | Histories, seconds: float) -> tuple[Run, float]:
    """A training after as many updates as take these seconds, and what the whole of it is measured at."""
    begun = time.process_time()
    one = Run(trained)
    one.learner.prepare(data)
    one.learner.model.train()
    for _ in range(WARM_UPDATES):
        one.update()
    before, warm = time.process_time() - begun, one.spent
    while one.spent - warm < seconds and one.step < trained.options["updates"]:
        one.update()
    updates = one.step - WARM_UPDATES
    each = (one.spent - warm) / updates if updates else one.spent / one.step
    return one, before + each * (trained.options["updates"] - WARM_UPDATES)


def tested(job: Job, training: Run, data: Trajectories | Histories) -> float:
    """What an evaluation of all checkpoints is measured at."""
    evaluator, test = imported_test(job)
    facts, options = dataset_facts(job), test_options(job)
    learner = make_learner(job.cell.method, options)
    learner.model.load_state_dict(training.learner.model.state_dict())
    learner.restore(training.learner.state())
    learner.model.eval()
    counted: list[Counting] = []

    def make_world(*arguments: Any) -> Counting:
        counted.append(Counting(test.make_world(*arguments)))
        return counted[-1]

    watched = SimpleNamespace(**{**vars(test), "make_world": make_world})

    def play() -> TestRows:
        rows: TestRows = evaluator.evaluate(learner, watched, options, job.cell.task, job.seed, facts)
        return rows

    seconds = seconds_of(play)
    if isinstance(data, Trajectories):
        episodes, steps = (
            sum(values) for values in zip(*((w.episodes, w.steps) for w in counted), strict=True)
        )
        seconds *= episodes * float(np.quantile(data.lengths, LONGEST)) / steps
    return seconds * len(checkpoint_steps(job.upstream[0].options))


def lines_of(chain: dict[str, Job], jobs: dict[str, int], seconds: float, loading: float) -> list[Line]:
    """The lines of a cell, whose jobs are given by stage, as are how many its budget has.

    `loading` is what every process spends first.
    """
    found: list[Line] = []
    if "train" in chain:
        trained = chain["train"]
        source = trained.upstream[0]
        found.append(Line(source, 1, made(source)))
        collector = importlib.import_module(collector_module(source.suite.catalogue, source.cell.task))
        data = collector.load(source.folder / "data")
        training, whole = trained_briefly(trained, data, seconds)
        found.append(Line(trained, jobs["train"], loading + whole))
        if "evaluate" in chain:
            whole = tested(chain["evaluate"], training, data)
            found.append(Line(chain["evaluate"], jobs["evaluate"], loading + whole))
    if "probe" in chain:
        whole = seconds_of(lambda: probe(chain["probe"]))
        found.append(Line(chain["probe"], jobs["probe"], loading + whole))
    return found


def spread(cells: list[Cell], count: int) -> list[Cell]:
    """So many of the cells, evenly spread over their list, the first among them."""
    count = min(count, len(cells))
    return [cells[len(cells) * number // count] for number in range(count)]


def budgets_of(suite: Suite, tier: str, label: str, must: bool) -> dict[str, dict[str, list[Job]]]:
    """Label of each chosen budget -> stage -> its jobs; SpecError where no budget has such a label."""
    found: dict[str, dict[str, list[Job]]] = {}
    for job in must_jobs(suite, tier) if must else all_jobs(suite, tier):
        if job.row.in_cells and label in job.resolved.budget.label:
            found.setdefault(job.resolved.budget.label, {}).setdefault(job.stage, []).append(job)
    if not found:
        raise SpecError(
            f"workflow/tiers/{tier}.yaml: no budget with {label!r} in its label has a job. "
            f"`python -m bench plan --tier {tier}` shows what is run; leave --label out for all budgets."
        )
    return found


@exit_with_message
def main(
    tier: Annotated[str, typer.Option(help="quick, cpu or paper")],
    label: Annotated[str, typer.Option(help="only budgets whose label holds these words")] = "",
    must: Annotated[bool, typer.Option(help="only those of the must list")] = False,
    cells: Annotated[int, typer.Option(min=1, help="measured of each budget")] = 1,
    seconds: Annotated[
        float, typer.Option(min=0.0, help="processor seconds of updates that are timed")
    ] = 3.0,
    output: Annotated[str, typer.Option(help="file for the table, as CSV")] = "",
) -> None:
    """Print, for cells of each budget, what they are planned at and measured at, in core-seconds."""
    suite = Suite.from_environment()
    suite.catalogue.tier(tier)
    chosen = budgets_of(suite, tier, label, must)
    loading = seconds_of(one_thread)
    rows = [COLUMNS]
    print(COLUMNS)
    for budget in chosen.values():
        chains: dict[Cell, dict[str, Job]] = {}
        for job in (job for jobs in budget.values() for job in jobs):
            chains.setdefault(job.cell, {}).setdefault(job.stage, job)
        jobs = {stage: len(listed) for stage, listed in budget.items()}
        for cell in spread(list(chains), cells):
            for line in lines_of(chains[cell], jobs, seconds, loading):
                rows.append(line.text)
                print(line.text, flush=True)
    if output:
        write_atomically(Path(output), "\n".join(rows) + "\n")
