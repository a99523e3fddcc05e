"""Samplers of the return-conditioned methods: windows of trajectories, or whole ones.

Shapes: B windows, K steps (`context_length`), S numbers in a state, A in an action (or A actions, one-hot,
with `discrete_actions`). Windows are padded on the left; `mask` (B, K) is True at real steps. Tricks, all of
the Decision Transformer's code:
1. Trajectories are drawn with probability proportional to their length, then a step of it, evenly
   (`window_start=anywhere`; `beginning` takes the first K steps of each).
2. States are standardised by the dataset's mean and deviation (+ 1e-6).
3. Returns-to-go are undiscounted and divided by `return_scale`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch
from bench.methods.normaliser import Normaliser

Integers = NDArray[np.int64]


class Spans(NamedTuple):
    """Steps `first` ... `end` - 1 of the dataset (B,), each span in the trajectory that begins at `start`."""

    start: Integers
    first: Integers
    end: Integers


class Steps:
    """The steps of a dataset, laid out for windows to be gathered from."""

    def __init__(self, dataset: Trajectories, options: Options, normaliser: Normaliser) -> None:
        self.dataset, self.last = dataset, options["max_timestep"] - 1
        self.returns_to_go = dataset.returns_to_go() / np.float32(options["return_scale"])
        self.states = normaliser.of(dataset.observations)

    def gather(self, spans: Spans, length: int) -> Batch:
        """The steps of each span, padded on the left to `length`."""
        index = spans.end[:, None] - length + np.arange(length)
        mask = index >= spans.first[:, None]
        index = np.where(mask, index, spans.first[:, None])
        timesteps = np.where(mask, index - spans.start[:, None], 0)
        return {
            "returns": torch.from_numpy(self.returns_to_go[index] * mask).unsqueeze(-1),
            "states": torch.from_numpy(self.states[index] * mask[..., None]),
            "actions": torch.from_numpy(self.dataset.actions[index] * mask[..., None]),
            "timesteps": torch.from_numpy(np.minimum(timesteps, self.last)),
            "mask": torch.from_numpy(mask),
        }


def draw_windows(dataset: Trajectories, options: Options, generator: np.random.Generator) -> Spans:
    """Spans of up to K steps that start at random steps, or at the beginnings of episodes."""
    if options["window_start"] == "beginning":
        trajectory = draw_trajectories(dataset, options, generator)
        first = dataset.starts[trajectory]
    else:
        # A step drawn evenly over all transitions is a trajectory drawn by length, then a step of it.
        first = np.asarray(generator.integers(dataset.transitions, size=options["batch_size"]))
        trajectory = np.searchsorted(dataset.starts, first, side="right") - 1
    end = np.minimum(first + options["context_length"], dataset.starts[trajectory + 1])
    return Spans(dataset.starts[trajectory], first, end)


def draw_trajectories(dataset: Trajectories, options: Options, generator: np.random.Generator) -> Integers:
    """(batch,) trajectories, drawn evenly.

    With `window_start=beginning` none is drawn twice while there are enough: in a maze with two optimal
    episodes a batch of two then always holds both.
    """
    count = options["batch_size"]
    if options["window_start"] == "beginning" and count <= len(dataset):
        return generator.permutation(len(dataset))[:count]
    drawn: Integers = generator.integers(len(dataset), size=count)
    return drawn


def random_windows(options: Options, sequences: int, length: int, generator: np.random.Generator) -> Batch:
    """Windows of `length` steps with random content."""

    def normal(width: int) -> Tensor:
        return torch.from_numpy(generator.standard_normal((sequences, length, width), dtype=np.float32))

    def actions() -> Tensor:
        count = options["action_dim"]
        if not options["discrete_actions"]:
            return normal(count)
        drawn = torch.from_numpy(generator.integers(count, size=(sequences, length)))
        return nn.functional.one_hot(drawn, count).float()

    return {
        "returns": normal(1),
        "states": normal(options["observation_dim"]),
        "actions": actions(),
        "timesteps": torch.arange(length).expand(sequences, length).contiguous() % options["max_timestep"],
        "mask": torch.ones(sequences, length, dtype=torch.bool),
    }


class Windows:
    """Windows of up to K steps."""

    def __init__(self, options: Options, normaliser: Normaliser) -> None:
        self.options, self.normaliser = options, normaliser

    def prepare(self, dataset: Trajectories) -> None:
        """Fit the states' normaliser, and lay out what windows are gathered from."""
        self.normaliser.fit(dataset)
        self.steps = Steps(dataset, self.options, self.normaliser)

    def draw(self, generator: np.random.Generator) -> Batch:
        """`batch_size` windows."""
        spans = draw_windows(self.steps.dataset, self.options, generator)
        return self.steps.gather(spans, self.options["context_length"])

    def synthetic(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Full windows with random content."""
        return random_windows(self.options, sequences, self.options["context_length"], generator)


class WholeTrajectories:
    """Trajectories from their first step to their last, padded to the longest of a batch."""

    def __init__(self, options: Options, normaliser: Normaliser) -> None:
        self.options, self.normaliser = options, normaliser

    def prepare(self, dataset: Trajectories) -> None:
        """Fit the states' normaliser, and lay out what trajectories are gathered from."""
        self.normaliser.fit(dataset)
        self.steps = Steps(dataset, self.options, self.normaliser)

    def draw(self, generator: np.random.Generator) -> Batch:
        """`batch_size` trajectories."""
        dataset = self.steps.dataset
        chosen = draw_trajectories(dataset, self.options, generator)
        start, end = dataset.starts[chosen], dataset.starts[chosen + 1]
        return self.steps.gather(Spans(start, start, end), int((end - start).max()))

    def synthetic(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Whole episodes with random content."""
        return random_windows(self.options, sequences, self.options["max_episode_steps"], generator)
