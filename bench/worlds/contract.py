"""What a world is: environments that are stepped together, the data learnt from, and how a test is read off.

A world is one folder of `bench/worlds/`, found by the name that its family of tasks gives as `environment`:

    world.py    the environments, if they are the suite's own
    data.py     a `Collector`: what makes a task's dataset, and loads it
    test.py     a `Test`: what is played to score a policy, and what is read off

Numbers of actions are integers, actions of a robot are vectors; which a task has, its space says. A state is
a vector of S numbers, or in Atari a stack of frames (k, side, side).
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.arrays import Actions, Numbers, States
from bench.datasets.frame_trajectories import FrameTrajectories
from bench.datasets.histories import Histories
from bench.datasets.trajectories import Trajectories
from bench.work.record import Facts

# (metric, index, value)
TestRows = list[tuple[str, float, float]]


class World(Protocol):
    """`count` environments stepped together; each of their episodes ends on its own."""

    count: int

    def reset(self) -> States:
        """Begin an episode everywhere; states (count, S)."""

    def step(self, actions: Actions) -> tuple[States, Numbers, NDArray[np.bool_]]:
        """Act once: states (count, S), rewards (count,), and which episodes are over (count,).

        An environment whose episode is over keeps its state and is paid nothing until `reset`.
        """

    def close(self) -> None:
        """Free what the environments hold."""


class Collector(Protocol):
    """A module that makes and loads datasets; a reader of real data takes its `Task` as a fourth argument."""

    def make(self, options: Options, task: str, folder: Path) -> Facts:
        """Write a task's dataset into the folder; returns what is to be said of it."""

    def load(self, folder: Path) -> Trajectories | FrameTrajectories | Histories:
        """The dataset that `make` wrote."""


class Test(Protocol):
    """A module that says what a policy plays to be scored.

    `CONSECUTIVE`: an agent that reads its own past plays `episodes` of them in a row; else one.
    """

    CONSECUTIVE: bool

    def make_world(self, options: Options, task: str, seed: int, facts: Facts) -> World:
        """The environments of a test. They depend on the task and the seed alone, not on the method.

        `facts` are those of the task's dataset.
        """

    def scores(
        self, returns: NDArray[np.float64], lengths: NDArray[np.float64], options: Options
    ) -> TestRows:
        """Rows of an episode in each environment, of these returns and lengths (count,)."""


@runtime_checkable
class KnowsOptimum(Protocol):
    """A `Test` that also says what its tasks pay at most, so that a return can be read as a share of it."""

    def optimal_returns(self, world: World, starts: States) -> NDArray[np.float64]:
        """(count,) the largest return of an episode of each environment's task from states (count, S)."""
