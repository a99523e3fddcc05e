"""Small cells for the checks: a method on one task of each family that it is built for, on almost no data."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import torch

from bench.catalogue.catalogue import Catalogue
from bench.catalogue.option_types import Options
from bench.catalogue.values import defaults
from bench.datasets.arrays import States
from bench.datasets.episodes import Episodes
from bench.datasets.trajectories import Trajectories
from bench.methods.base import Learner, Observation, Policy, Trial, make_learner
from bench.methods.frames import random_states
from bench.methods.in_context import random_episodes
from bench.methods.spaces import Space, space_of
from bench.work.availability import collector_module, evaluator_module, why_not_built, world_test
from bench.work.cells import Cell
from bench.work.record import Facts

# Of these the options that a cell has are set, so that it is small and every part of it takes part.
SMALL: dict[str, bool | int | float | str] = {
    "transitions": 1200, "history_steps": 3600, "train_tasks": 6, "test_tasks": 4, "stored_episodes": 60,
    "room_side": 5, "horizon": 7, "context_episodes": 3, "steps_per_subgoal": 3, "context_length": 5,
    "embedding_dim": 16, "d_model": 16, "d_state": 4, "hidden_dim": 16, "head_dim": 8, "layers": 2,
    "mamba_layers": 1, "transformer_layers": 1, "heads": 2, "dropout": 0.0, "batch_size": 4, "updates": 20,
    "collect_rooms": 4, "replay_size": 8, "candidates_per_target": 3, "sampled_actions": 2,
    "slow_policy_from": 2, "slow_policy_every": 2, "warmup_updates": 0, "evaluation_environments": 4,
    "episodes": 2, "evaluation_episodes": 2, "target_multiples": "1", "frame_side": 36, "target_returns": "1",
    "warmup_tokens": 0, "decay_tokens": 0,
}  # fmt: skip
COUNT, STEPS = 2, 4  # environments side by side, and steps that they are acted in
EPISODE = 20  # the most steps of an episode


@dataclass(frozen=True)
class Case:
    """A method on a task: its options, the modules of its data and its test, and the folder of a dataset."""

    method: str
    task: str
    options: Options
    collector: str
    evaluator: str
    test: str
    folder: Path

    def make_dataset(self, folder: Path) -> Facts:
        """Make the task's dataset in a folder; what it says of itself."""
        facts: Facts = importlib.import_module(self.collector).make(self.options, self.task, folder)
        return facts

    def dataset(self) -> object:
        """The dataset as it is loaded."""
        return importlib.import_module(self.collector).load(self.folder)

    @property
    def space(self) -> Space:
        """The space of the task."""
        return space_of(self.options)

    def learner(self, **changes: float) -> Learner:
        """The learner, always with the same weights, far enough from its start for every input to matter.

        `changes` are options of other values.
        """
        torch.manual_seed(0)
        learner = make_learner(self.method, cast(Options, self.options | changes))
        with torch.no_grad():
            for parameter in learner.model.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        learner.prepare(shortened(self.dataset()))
        learner.model.train()
        return learner

    def states(self, generator: np.random.Generator) -> States:
        """(STEPS, COUNT, S) states with random content, or stacks of frames (STEPS, COUNT, k, side, side)."""
        if self.space.room_side:
            return generator.integers(self.space.room_side, size=(STEPS, COUNT, self.space.state_dim))
        return random_states(self.options, (STEPS, COUNT), generator)

    def past(self, generator: np.random.Generator) -> Episodes:
        """Two earlier episodes of each environment, with random content."""
        return random_episodes(self.options, COUNT, 2, generator)


def shortened(dataset: object) -> object:
    """A dataset whose trajectories are cut to EPISODE steps; learning histories are short as they are."""
    if not isinstance(dataset, Trajectories):
        return dataset
    return Trajectories.from_episodes([trajectory.cut(EPISODE) for trajectory in dataset])


def trial(cached: bool = True) -> Trial:
    """How policies are asked to act: by the likeliest action, from the same random numbers each time."""
    return Trial(COUNT, torch.Generator().manual_seed(0), temperature=0.0, cached=cached)


@torch.no_grad()
def act(policy: Policy, states: States, past: Episodes) -> States:
    """(STEPS, COUNT, ...) actions of an episode through states (STEPS, COUNT, S), each paid by 0.5."""
    policy.begin(past)
    actions = []
    for step, seen in enumerate(states):
        wanted = np.full(COUNT, 1.0 - step / 10, np.float32)
        actions.append(policy.act(Observation(seen, wanted, np.ones(COUNT, bool))).copy())
        policy.observe(np.full(COUNT, 0.5, np.float32))
    return np.stack(actions)


def tasks_of(catalogue: Catalogue, method: str) -> Iterator[str]:
    """One task of each family of tasks that a method is built for: the first that is built."""
    families = set()
    for name, task in catalogue.tasks.items():
        if task.family not in families and not why_not_built(catalogue, "train", Cell(name, method, ())):
            families.add(task.family)
            yield name


@cache
def _scratch() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="conformance-")


def small_options(catalogue: Catalogue, task: str, method: str) -> Options:
    """The options of a method on a task, in small."""
    options = defaults(catalogue, task, method)
    small = {name: value for name, value in SMALL.items() if name in options}
    if "max_episode_steps" in options:
        small["max_episode_steps"] = min(options["max_episode_steps"], EPISODE)
    return cast(Options, options | small)


def make_case(catalogue: Catalogue, task: str, method: str) -> Case:
    """The case of a method on a task. Its dataset is made once for all methods, and gone with the process."""
    cell, folder = Cell(task, method, ()), Path(_scratch().name) / task
    options = small_options(catalogue, task, method)
    case = Case(
        method,
        task,
        options,
        collector_module(catalogue, task),
        evaluator_module(catalogue, cell),
        world_test(catalogue, task),
        folder,
    )
    if not folder.exists():
        folder.mkdir()
        case.make_dataset(folder)
    return case
