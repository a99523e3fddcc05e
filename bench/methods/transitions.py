"""The sampler of the methods that learn from single transitions.

Shapes: n transitions of a dataset, B of a batch, S numbers in a state, A in an action. If `normalise_states`
asks for it, states are standardised by the mean and deviation (+ 1e-6) of the transitions learnt from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch
from bench.methods.frames import random_states
from bench.methods.heads import random_choices
from bench.methods.normaliser import Normaliser
from bench.methods.state_reader import StateReader

# Rows of numbers over all transitions; those of frames are stacked when they are asked for.
Columns = dict[str, Any]
LayOut = Callable[[Any, Any], Columns]
Noise = Callable[[int, np.random.Generator], Batch]


def states_and_actions(dataset: Trajectories, normaliser: StateReader) -> Columns:
    """States (n, S) and actions (n, A)."""
    return {"states": normaliser.of(dataset.observations), "actions": dataset.actions}


def with_next_states(dataset: Trajectories, normaliser: Normaliser) -> Columns:
    """Also rewards and terminations (n,), and the next states (n, S)."""
    return states_and_actions(dataset, normaliser) | {
        "rewards": dataset.rewards,
        "next_states": normaliser.of(next_observations(dataset)),
        "terminations": dataset.terminations,
    }


def next_observations(dataset: Trajectories) -> NDArray[np.float32]:
    """(n, S) observation after each transition: the next row, or the trajectory's final one."""
    following = np.roll(dataset.observations, -1, axis=0)
    following[dataset.starts[1:] - 1] = dataset.final_observations
    return following


def no_noise(count: int, generator: np.random.Generator) -> Batch:
    """A loss that takes no random numbers."""
    return {}


def random_columns(options: Options, count: int, generator: np.random.Generator) -> Batch:
    """Every column that some method lays out, of `count` transitions inside their episodes."""

    def normal(*shape: int) -> torch.Tensor:
        return torch.from_numpy(generator.standard_normal((count, *shape), dtype=np.float32))

    def states() -> torch.Tensor:
        return torch.from_numpy(random_states(options, (count,), generator))

    def actions() -> torch.Tensor:
        choices = options["action_dim"]
        if options["discrete_actions"]:
            return random_choices(choices, (count,), generator)
        return torch.from_numpy(generator.uniform(-1, 1, (count, choices)).astype(np.float32))

    chosen = actions()
    return {
        "states": states(),
        "actions": chosen,
        "rewards": normal(),
        "next_states": states(),
        "terminations": torch.zeros(count),
        "mean_rewards_to_go": normal(1),
    }


class Transitions:
    """Transitions drawn evenly from those laid out.

    Args:
        options: batch_size and those of the task.
        normaliser: fitted to what is learnt from.
        names: the columns that `lay_out` gives.
        lay_out: the columns of a dataset, over all transitions.
        noise: random numbers that the losses of some transitions take, such as noise on actions.
        select: what of a dataset is learnt from; by default all of it.
    """

    def __init__(
        self,
        options: Options,
        normaliser: StateReader,
        names: tuple[str, ...],
        lay_out: LayOut,
        noise: Noise = no_noise,
        select: Callable[[Trajectories], Trajectories] = lambda dataset: dataset,
    ) -> None:
        self.options, self.normaliser, self.names = options, normaliser, names
        self.lay_out, self.noise, self.select = lay_out, noise, select

    def prepare(self, dataset: Trajectories) -> None:
        """Fit the states' normaliser, and lay out what batches are gathered from."""
        selected = self.select(dataset)
        self.normaliser.fit(selected)
        self.columns = self.lay_out(selected, self.normaliser)

    def draw(self, generator: np.random.Generator) -> Batch:
        """`batch_size` transitions."""
        count = self.options["batch_size"]
        index = generator.integers(len(self.columns["states"]), size=count)
        drawn = {name: torch.from_numpy(values[index]) for name, values in self.columns.items()}
        return drawn | self.noise(count, generator)

    def synthetic(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Transitions with random content; `sequences` counts them."""
        known = random_columns(self.options, sequences, generator)
        return {name: known[name] for name in self.names} | self.noise(sequences, generator)
