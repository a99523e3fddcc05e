"""The checkpoints of a training: where they lie, and the trained model read back from one."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import torch

from bench.catalogue.option_types import Options
from bench.errors import DatasetError, UserError
from bench.methods.base import Learner, make_learner
from bench.seeds import stream_seed
from bench.stages.runner import require_ok
from bench.work.availability import evaluator_module, world_test
from bench.work.jobs import Job, dataset_job
from bench.work.record import Facts


def checkpoint_steps(options: Options) -> list[int]:
    """The updates after which a run is evaluated, evenly spaced, the last one at its end."""
    count = min(options["checkpoints"], options["updates"])
    return [round(options["updates"] * (number + 1) / count) for number in range(count)]


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint after `step` updates lies."""
    return folder / "checkpoints" / f"step-{step:07d}.pt"


def require_trained(trained: Job, what: str = "its training") -> None:
    """Stop, with the status and its reason, where a training that a job builds on did not succeed.

    Raises UnavailableError where the training's data are unavailable, SkippedError otherwise.
    """
    require_ok(what, trained.recorded())


def dataset_facts(job: Job) -> Facts:
    """What the dataset of a job's cell says of itself; DatasetError where its record cannot be read."""
    source = dataset_job(job.suite, job.tier, job.cell)
    record = source.recorded()
    if not record.is_made:
        raise DatasetError(f"{source.record}: missing or damaged. Delete {source.folder} and run again.")
    return record.facts


def imported_test(job: Job) -> tuple[ModuleType, ModuleType]:
    """The evaluator of a job's cell, and the test of its world."""
    catalogue = job.suite.catalogue
    evaluator = importlib.import_module(evaluator_module(catalogue, job.cell))
    return evaluator, importlib.import_module(world_test(catalogue, job.cell.task))


def test_options(job: Job) -> Options:
    """A job's options, its target being the largest return of the dataset where `target_source` says so."""
    if job.options.get("target_source", "printed") == "printed":
        return job.options
    largest = dataset_facts(job)["largest_return"]
    return job.options | {"target_return": largest, "target_multiples": "1"}


def load_checkpoint(learner: Learner, trained: Job, step: int) -> None:
    """Give a learner the weights and normalisers after `step` updates, and put it in evaluation mode.

    Raises UserError where the checkpoint is gone.
    """
    path = checkpoint_path(trained.folder, step)
    if not path.exists():
        raise UserError(
            f"{path}: missing, although {trained.record} says the cell is trained. "
            f"Delete {trained.folder} and run again: the cell is then trained anew."
        )
    saved = torch.load(path, map_location="cpu", weights_only=False)
    learner.model.load_state_dict(saved["model"])
    learner.restore(saved["learner"])
    learner.model.eval()


def initial_learner(trained: Job) -> Learner:
    """The learner of a training before its first update, on the CPU; torch's generator is seeded for it."""
    torch.manual_seed(stream_seed("init", trained.cell.key, trained.seed))
    return make_learner(trained.cell.method, trained.options)


def load_last(trained: Job) -> tuple[Learner, int]:
    """The learner of a training's last checkpoint, and the updates it had."""
    learner = make_learner(trained.cell.method, trained.options)
    step = checkpoint_steps(trained.options)[-1]
    load_checkpoint(learner, trained, step)
    return learner, step
