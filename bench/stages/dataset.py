"""Make the dataset of a task: `python -m bench dataset --tier quick --task darkroom`."""

from __future__ import annotations

import importlib
import shutil

from bench.files import flush
from bench.stages.runner import stage_command
from bench.work.availability import collector_module
from bench.work.integrity import files_below
from bench.work.jobs import Job
from bench.work.record import Facts, Rows


def dataset(job: Job) -> tuple[Rows, Facts]:
    """Collect the data beside its place and move it in whole; facts go to the sidecar."""
    collector = importlib.import_module(collector_module(job.suite.catalogue, job.cell.task))
    target = job.folder / job.row.keeps
    building = job.folder / "data.building"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    task = job.suite.catalogue.tasks[job.cell.task]
    # What reads real data is told which; the others make their own.
    given = () if task.given is None else (task,)
    facts = collector.make(job.options, task.name, building, *given)
    for path in files_below(building):
        flush(path)
    shutil.rmtree(target, ignore_errors=True)
    building.rename(target)
    numbers = [(key, 0, 0.0, float(value)) for key, value in facts.items() if isinstance(value, int | float)]
    return numbers, facts


main = stage_command("dataset", dataset)
