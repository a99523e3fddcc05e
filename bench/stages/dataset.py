"""Make the dataset of a task: `python -m bench dataset --tier quick --task darkroom`."""

from __future__ import annotations

import importlib
import shutil
from typing import Any

from bench.catalogue.load import load_catalogue
from bench.datasets.integrity import checksums
from bench.stages.runner import stage_command
from bench.work.jobs import Job
from bench.work.record import Rows


def make(job: Job) -> tuple[Rows, dict[str, Any]]:
    """Collect the data beside its place and move it in whole; facts and checksums go to the sidecar."""
    collector = load_catalogue().tasks[job.cell.task].collector.replace("-", "_")
    module = importlib.import_module(f"bench.datasets.{collector}")
    target = job.folder / "data"
    building = job.folder / "data.building"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    facts = module.make(job.options, job.cell.task, building)
    shutil.rmtree(target, ignore_errors=True)
    building.rename(target)
    numbers = [(key, 0, 0.0, float(value)) for key, value in facts.items() if isinstance(value, int | float)]
    return numbers, facts | {"sha256": checksums(target)}


main = stage_command("dataset", make)
