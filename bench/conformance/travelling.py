"""Small trainings whose bytes say whether arithmetic is the same here as where it was noted.

Each cell is a method as it is declared, in its own size, on little data and for a few updates: enough that a
last bit that differs in any kernel of data, model, optimiser or test is in the digest at the end.
"""

from __future__ import annotations

import hashlib
import importlib
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import torch

from bench.catalogue.catalogue import Catalogue
from bench.catalogue.option_types import Options
from bench.catalogue.values import defaults
from bench.conformance.cases import Case
from bench.methods.base import Learner, make_learner
from bench.methods.optimisation import in_tokens, learning_rate_factor, make_optimiser
from bench.seeds import stream, stream_seed
from bench.work.availability import collector_module, evaluator_module, world_test
from bench.work.cells import Cell
from bench.work.record import Facts

# Task and method.
CELLS = (
    ("tmaze-passive-10", "dt"),
    ("hopper-medium", "bc"),
    ("hopper-medium", "dema"),
    ("darkroom", "ad-mamba"),
    ("darkroom", "dmh"),
)
# Of these the options that a cell has are set. All else, the model's size above all, is as declared.
LITTLE: dict[str, bool | int | float | str] = {
    "transitions": 1200, "history_steps": 3600, "train_tasks": 6, "test_tasks": 2, "stored_episodes": 60,
    "context_episodes": 4, "batch_size": 4, "updates": 6, "warmup_updates": 2, "evaluation_environments": 2,
    "episodes": 2, "evaluation_episodes": 2, "target_multiples": "1",
}  # fmt: skip
SEED = 0

# Stage -> SHA-256, as `dataset darkroom` and `train darkroom/dmh`.
Digests = dict[str, str]


def little_case(catalogue: Catalogue, task: str, method: str, folder: Path) -> Case:
    """The case of a method on a task, its dataset in `folder`."""
    options = defaults(catalogue, task, method)
    little = {name: value for name, value in LITTLE.items() if name in options}
    return Case(
        method,
        task,
        cast(Options, options | little),
        collector_module(catalogue, task),
        evaluator_module(catalogue, Cell(task, method, ())),
        world_test(catalogue, task),
        folder,
    )


def digests(catalogue: Catalogue, cells: Iterable[tuple[str, str]] = CELLS) -> Digests:
    """Data, final weights and scores of the cells (task, method), each as it was made here and now."""
    found: Digests = {}
    facts: dict[str, Facts] = {}
    with TemporaryDirectory(prefix="travelling-") as scratch:
        for task, method in cells:
            case = little_case(catalogue, task, method, Path(scratch) / task)
            # Methods on one task share its data, as they do in a run.
            if task not in facts:
                case.folder.mkdir()
                facts[task] = case.make_dataset(case.folder)
                found[f"dataset {task}"] = of_data(case.dataset())
            learner = trained(case)
            found[f"train {task}/{method}"] = of_weights(learner)
            evaluator, test = (importlib.import_module(name) for name in (case.evaluator, case.test))
            rows = evaluator.evaluate(learner, test, case.options, task, SEED, facts[task])
            found[f"evaluate {task}/{method}"] = of_rows(rows)
    return found


def untrained(case: Case) -> Learner:
    """A learner as training begins it, with its data."""
    torch.manual_seed(stream_seed("init", case.task, case.method, SEED))
    learner = make_learner(case.method, case.options)
    learner.prepare(case.dataset())
    learner.model.train()
    return learner


def trained(case: Case) -> Learner:
    """The learner after its updates."""
    learner = untrained(case)
    update = updates(learner)
    for _ in range(case.options["updates"]):
        update()
    learner.model.eval()
    return learner


def updates(learner: Learner) -> Callable[[], None]:
    """What makes the learner's next update, as training makes it, by batches drawn from its data."""
    options, generator = learner.options, stream("batch", SEED)
    optimiser = make_optimiser(learner.model, options)
    counts, done, tokens = in_tokens(options), 0, 0
    torch.manual_seed(stream_seed("dropout", SEED))

    def update() -> None:
        nonlocal done, tokens
        learner.begin_update(done, generator)
        batch = learner.draw(generator)
        tokens += learner.tokens(batch) if counts else 0
        for group in optimiser.param_groups:
            group["lr"] = options["learning_rate"] * learning_rate_factor(done, tokens, options)
        optimiser.zero_grad(set_to_none=True)
        learner.loss(batch).backward()
        for parameters in learner.clipped():
            torch.nn.utils.clip_grad_norm_(parameters, options["gradient_clip"])
        optimiser.step()
        done += 1

    return update


def of_data(dataset: object) -> str:
    """The digest of the arrays of a dataset, by name, type, shape and bytes.

    Not of its files, which other versions of Python or of HDF5 write in other bytes.
    """
    assert is_dataclass(dataset)
    arrays = {field.name: np.ascontiguousarray(getattr(dataset, field.name)) for field in fields(dataset)}
    return _digest(
        part for name, array in arrays.items()
        for part in (f"{name} {array.dtype.str} {array.shape}".encode(), array.tobytes())
    )  # fmt: skip


def of_weights(learner: Learner) -> str:
    """The digest of all that a model holds, by name, type and bytes."""
    return _digest(
        part for name, tensor in learner.model.state_dict().items()
        for part in (f"{name} {tensor.dtype}".encode(), tensor.contiguous().numpy().tobytes())
    )  # fmt: skip


def of_rows(rows: list[tuple[str, float, float]]) -> str:
    """The digest of a test's rows (metric, index, value), to the last bit."""
    return _digest(
        part for metric, index, value in rows for part in (metric.encode(), struct.pack("<dd", index, value))
    )


def _digest(parts: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()
