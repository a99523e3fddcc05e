"""The checkpoints of a training: where they lie, and the trained model read back from one."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from bench.catalogue.option_types import Options
from bench.errors import DamagedError, DatasetError, UserError
from bench.methods.base import Learner, make_learner
from bench.seeds import stream_seed
from bench.stages.runner import require_ok
from bench.work.availability import evaluator_module, world_test
from bench.work.jobs import Job, dataset_job
from bench.work.record import Facts
from bench.work.state_files import read_state


def checkpoint_steps(options: Options) -> list[int]:
    """The updates after which a run is evaluated, evenly spaced, the last one at its end."""
    count = min(options["checkpoints"], options["updates"])
    return [round(options["updates"] * (number + 1) / count) for number in range(count)]


def training_options(trained: Job) -> Options:
    """The options of a training; with `epochs` its updates are those of so many passes over the trajectories.

    Raises DatasetError where the record of the dataset is missing or damaged, and what `require_ok` raises.
    """
    options = trained.options
    epochs = options.get("epochs", 0)
    if not epochs:
        return options
    batches = math.ceil(dataset_facts(trained)["trajectories"] / options["batch_size"])
    return options | {"updates": epochs * batches * options["updates_per_batch"]}  # type: ignore[return-value]


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint after `step` updates lies; its tensors lie beside it."""
    return folder / "checkpoints" / f"step-{step:07d}.json"


def require_trained(trained: Job, what: str = "its training") -> None:
    """Stop, with the status and its reason, where a training that a job builds on did not succeed.

    Raises UnavailableError where the training's data are unavailable, SkippedError where it ended otherwise,
    UserError where its record is damaged or out of date.
    """
    require_ok(what, trained)


def dataset_facts(job: Job) -> Facts:
    """What the dataset of a job's cell says of itself.

    Raises DatasetError where its record is missing or damaged, and what `require_ok` raises.
    """
    source = dataset_job(job.suite, job.tier, job.cell)
    record = source.recorded()
    if not record.is_made:
        raise DatasetError(f"{source.record}: missing or damaged. {source.remedy}")
    require_ok("its dataset", source)
    return record.facts


def checked_data(source: Job) -> Path:
    """The folder of a dataset, once every file in it was checked.

    Raises DatasetError, naming the file and the remedy, for one that is missing or changed.
    """
    if source.trouble:
        raise DatasetError(f"{source.trouble}. {source.remedy}")
    return source.folder / source.row.keeps


def imported_test(job: Job) -> tuple[ModuleType, ModuleType]:
    """The evaluator of a job's cell, and the test of its world."""
    catalogue = job.suite.catalogue
    evaluator = importlib.import_module(evaluator_module(catalogue, job.cell))
    return evaluator, importlib.import_module(world_test(catalogue, job.cell.task))


def test_options(job: Job) -> Options:
    """A job's options, its target being the largest return of the dataset where `target_source` says so.

    More than that is then not asked for: of `target_multiples` those above 1 are left out, and 1 is
    what is left of them all.
    """
    if job.options.get("target_source", "printed") == "printed":
        return job.options
    multiples = [one for one in job.options["target_multiples"].split("-") if float(one) <= 1] or ["1"]
    largest = dataset_facts(job)["largest_return"]
    # Those left need not be among the declared choices.
    return job.options | {  # type: ignore[return-value]
        "target_return": largest, "target_multiples": "-".join(multiples)
    }  # fmt: skip


def read_checkpoint(trained: Job, step: int) -> dict[str, Any]:
    """The checkpoint of a training after `step` updates.

    Raises DamagedError where it is missing or damaged, or is that of another training or step.
    """
    path = checkpoint_path(trained.folder, step)
    saved = read_state(path)
    if saved["fingerprint"] != trained.fingerprint:
        raise DamagedError(
            f"{path}: the checkpoint of another training (fingerprint {saved['fingerprint']}, and that of "
            f"{trained.cell.key} seed {trained.seed} is {trained.fingerprint})"
        )
    if saved["step"] != step:
        raise DamagedError(f"{path}: the checkpoint after {saved['step']} updates, and not after {step}")
    return saved


def load_checkpoint(learner: Learner, trained: Job, step: int) -> None:
    """Give a learner the weights and normalisers after `step` updates, and put it in evaluation mode.

    Raises UserError, with the remedy, where the checkpoint is not the one that the training left.
    """
    try:
        saved = read_checkpoint(trained, step)
    except DamagedError as error:
        raise UserError(f"{error}. {trained.remedy}") from None
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
    step = checkpoint_steps(training_options(trained))[-1]
    load_checkpoint(learner, trained, step)
    return learner, step
