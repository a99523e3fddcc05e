"""What the data and the test of every task promise, as checks that a newcomer's task is put to as well."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from bench.conformance.cases import Case
from bench.conformance.methods import require
from bench.datasets.frame_trajectories import FrameTrajectories
from bench.datasets.histories import Histories
from bench.datasets.trajectories import Trajectories
from bench.work.integrity import described, files_below


def datasets_repeat(case: Case) -> None:
    """A dataset is made twice with the same bytes, in its folder and nowhere else."""
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        facts = [case.make_dataset(Path(folder)) for folder in (first, second)]
        sums = [described(Path(folder), files_below(Path(folder))) for folder in (first, second)]
    require(bool(sums[0]), "make() writes no file into its folder")
    require(sums[0] == sums[1], "make() writes other bytes the second time")
    require(facts[0] == facts[1], "make() says something else of the second dataset")


def facts_are_plain(case: Case) -> None:
    """What a dataset says of itself can be written as JSON and read back."""
    with TemporaryDirectory() as folder:
        facts = case.make_dataset(Path(folder))
    require(json.loads(json.dumps(facts)) == facts, "make() gives facts that JSON does not hold")


def datasets_fit_the_space(case: Case) -> None:
    """What load() gives has the states and actions of the task's space."""
    dataset, space = case.dataset(), case.space
    known = Histories | Trajectories | FrameTrajectories
    require(isinstance(dataset, known), f"load() gives a {type(dataset).__name__}")
    if isinstance(dataset, Histories):
        found = dataset.positions.shape[-1], int(dataset.actions.max()) + 1
        require(found[1] <= space.action_dim, f"actions up to {found[1]}, of {space.action_dim}")
    else:
        assert isinstance(dataset, Trajectories | FrameTrajectories)
        found = math.prod(dataset.observations.shape[1:]), dataset.actions.shape[1]
        require(found[1] == space.action_dim, f"actions of {found[1]} numbers, not {space.action_dim}")
    require(found[0] == space.state_dim, f"states of {found[0]} numbers, not {space.state_dim}")


def tests_repeat(case: Case) -> None:
    """A test gives finite numbers under names, and the same ones for the same seed."""
    rows = [_tested(case, seed=0) for _ in range(2)]
    require(bool(rows[0]), "evaluate() gives no rows")
    for metric, index, value in rows[0]:
        require(math.isfinite(value), f"evaluate() gives {value} for {metric} at {index:g}")
    require(rows[0] == rows[1], "evaluate() gives other numbers for the same seed")


@torch.no_grad()
def _tested(case: Case, seed: int) -> Any:
    evaluator, test = (importlib.import_module(name) for name in (case.evaluator, case.test))
    learner = case.learner()
    learner.model.eval()
    with TemporaryDirectory() as folder:
        facts = case.make_dataset(Path(folder))
    return evaluator.evaluate(learner, test, case.options, case.task, seed, facts)


CHECKS: tuple[Callable[[Case], None], ...] = (
    datasets_repeat,
    facts_are_plain,
    datasets_fit_the_space,
    tests_repeat,
)
