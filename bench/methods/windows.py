"""Samplers of the return-conditioned methods: windows of trajectories, or whole ones.

Shapes: B windows, K steps (`context_length`), S numbers in a state, A in an action (or A actions, one-hot,
with `discrete_actions`). `mask` (B, K) is True at real steps, whose `bench.methods.places` are `real` (n,);
`previous_actions` (B, K, A) are those of the steps before, zero before an episode's first.
Tricks, all of the Decision Transformer's code:
1. Trajectories are drawn with probability proportional to their length, then a step of it, evenly
   (`window_start=anywhere`; `beginning` takes the first K steps of each; `full` moves a window that would run
   past the end of its episode back, as far as the episode's beginning, so that it holds K steps).
2. States are standardised by the dataset's mean and deviation (+ 1e-6); frames stay grey levels, uint8.
3. Returns-to-go are undiscounted and divided by `return_scale`.
4. Windows are padded on the left. Padding that is masked is zero. Padding that is attended to holds what that
   code has there: an action of -10, a state of zeros before it is standardised, a return of 0.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.catalogue.option_types import Options
from bench.datasets.frame_trajectories import FrameTrajectories
from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch
from bench.methods.frames import random_states
from bench.methods.heads import random_choices
from bench.methods.normaliser import Normaliser
from bench.methods.places import places_of
from bench.methods.state_reader import StateReader

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Dataset = Trajectories | FrameTrajectories

# What the Decision Transformer's code, and DeMa's, give the actions of padding.
PADDING_ACTION = -10.0


class Spans(NamedTuple):
    """Steps `first` ... `end` - 1 of the dataset (B,), each span in the trajectory that begins at `start`."""

    start: Integers
    first: Integers
    end: Integers


class Pairing(NamedTuple):
    """What a training window pairs with a state, beside the action before it.

    Attributes: `previous_return`, whether it is the return-to-go of the step before, and its timestep, as in
    the code of DeMa, whose evaluation pairs the step's own; `from_second`, whether a window's first step
    gives its return and action to the second and is not predicted itself, so that K steps are K - 1 tuples.
    """

    previous_return: bool = False
    from_second: bool = False


OWN_RETURN = Pairing()


class Steps:
    """The steps of a dataset, laid out for windows to be gathered from."""

    def __init__(self, dataset: Dataset, options: Options, normaliser: StateReader, pairing: Pairing) -> None:
        self.dataset, self.last, self.pairing = dataset, options["max_timestep"] - 1, pairing
        self.returns_to_go = dataset.returns_to_go() / np.float32(options["return_scale"])
        self.states: Any = normaliser.of(dataset.observations)  # type: ignore[arg-type]
        attended = options["padding"] == "attended"
        self.padding_state: NDArray[Any] = np.zeros((1, *self.states.shape[1:]), self.states.dtype)
        if attended and isinstance(normaliser, Normaliser):
            self.padding_state = normaliser.of(self.padding_state)
        self.padding_action = np.float32(PADDING_ACTION if attended else 0.0)

    def gather(self, spans: Spans, length: int, padded_on: Literal["left", "right"] = "left") -> Batch:
        """The steps of each span, padded to `length`, and paired."""
        first, end = spans.first[:, None], spans.end[:, None]
        index = (end - length if padded_on == "left" else first) + np.arange(length)
        mask = (index >= first) & (index < end)
        batch = self._paired(np.clip(index, first, end - 1), mask, spans.start[:, None])
        real = places_of(batch["mask"])
        return {name: torch.from_numpy(values) for name, values in batch.items()} | {"real": real}

    def _paired(self, index: Integers, mask: Flags, start: Integers) -> dict[str, NDArray[Any]]:
        """What a batch holds of the steps `index` (B, K), of which those of `mask` are real."""
        before = np.maximum(index - 1, start)
        actions, known = self.dataset.actions, (index > start)[..., None]
        real = mask[..., None]
        batch = {
            "returns": self.returns_to_go[index][..., None] * real,
            "states": or_else(self.states[index], mask, self.padding_state),
            "actions": np.where(real, actions[index], self.padding_action),
            "previous_actions": np.where(real, actions[before] * known, self.padding_action),
            "timesteps": np.minimum((index - start) * mask, self.last),
            "mask": mask,
        }
        if self.pairing.previous_return and not self.pairing.from_second:
            batch["returns"] = self.returns_to_go[before][..., None] * real
            batch["timesteps"] = np.minimum((before - start) * mask, self.last)
        return from_second(batch, self.pairing.previous_return) if self.pairing.from_second else batch


def or_else(values: NDArray[Any], mask: Flags, otherwise: NDArray[Any]) -> NDArray[Any]:
    """Values (B, K, ...) where the mask (B, K) is True, and elsewhere (1, ...).

    Where all of it is, nothing is copied: a batch of frames is large.
    """
    if mask.all():
        return values
    return np.where(mask.reshape(*mask.shape, *[1] * (values.ndim - 2)), values, otherwise)


def from_second(batch: dict[str, NDArray[Any]], previous_return: bool) -> dict[str, NDArray[Any]]:
    """The K - 1 steps from the second on of (B, K, .), each with what the window has before it."""
    shifted = {name: values[:, 1:] for name, values in batch.items()}
    shifted["previous_actions"] = batch["actions"][:, :-1]
    if previous_return:
        shifted |= {name: batch[name][:, :-1] for name in ("returns", "timesteps")}
    return shifted


def draw_windows(dataset: Dataset, options: Options, generator: np.random.Generator) -> Spans:
    """Spans of up to K steps, begun where `window_start` says."""
    if options["window_start"] == "beginning":
        trajectory = draw_evenly(dataset, options, generator)
        first = dataset.starts[trajectory]
    else:
        trajectory, first = draw_by_length(dataset, options, generator)
    start, end = dataset.starts[trajectory], dataset.starts[trajectory + 1]
    if options["window_start"] == "full":
        first = np.maximum(np.minimum(first, end - options["context_length"]), start)
    return Spans(start, first, np.minimum(first + options["context_length"], end))


def draw_by_length(
    dataset: Dataset, options: Options, generator: np.random.Generator
) -> tuple[Integers, Integers]:
    """(batch,) trajectories, drawn with probability proportional to their length, and a step of each."""
    # Nothing more than a step drawn evenly over all transitions.
    step = np.asarray(generator.integers(dataset.transitions, size=options["batch_size"]))
    return np.searchsorted(dataset.starts, step, side="right") - 1, step


def draw_evenly(dataset: Dataset, options: Options, generator: np.random.Generator) -> Integers:
    """(batch,) trajectories, drawn evenly.

    With `window_start=beginning` none is drawn twice while there are enough: in a maze with two optimal
    episodes a batch of two then always holds both.
    """
    count = options["batch_size"]
    if options["window_start"] == "beginning" and count <= len(dataset):
        return generator.permutation(len(dataset))[:count]
    drawn: Integers = generator.integers(len(dataset), size=count)
    return drawn


def actions_before(actions: Tensor) -> Tensor:
    """Of actions (B, K, A) that begin an episode, those of the steps before: zero, then all but the last."""
    return torch.cat([torch.zeros_like(actions[:, :1]), actions[:, :-1]], dim=1)


def random_windows(options: Options, sequences: int, length: int, generator: np.random.Generator) -> Batch:
    """Windows of `length` steps with random content."""

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(generator.standard_normal((sequences, length, *shape), dtype=np.float32))

    def random_actions() -> Tensor:
        count = options["action_dim"]
        if not options["discrete_actions"]:
            return normal(count)
        return random_choices(count, (sequences, length), generator)

    returns = normal(1)
    states = torch.from_numpy(random_states(options, (sequences, length), generator))
    actions = random_actions()
    return {
        "returns": returns,
        "states": states,
        "actions": actions,
        "previous_actions": actions_before(actions),
        "timesteps": torch.arange(length).expand(sequences, length).contiguous() % options["max_timestep"],
        "mask": torch.ones(sequences, length, dtype=torch.bool),
        "real": torch.arange(sequences * length),
    }


class Windows:
    """Windows of up to K steps."""

    def __init__(self, options: Options, normaliser: StateReader, pairing: Pairing) -> None:
        self.options, self.normaliser, self.pairing = options, normaliser, pairing

    def prepare(self, dataset: Dataset) -> None:
        """Fit the states' normaliser, and lay out what windows are gathered from."""
        self.normaliser.fit(dataset)
        self.steps = Steps(dataset, self.options, self.normaliser, self.pairing)

    def draw(self, generator: np.random.Generator) -> Batch:
        """`batch_size` windows."""
        spans = draw_windows(self.steps.dataset, self.options, generator)
        return self.steps.gather(spans, self.options["context_length"])

    def synthetic(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Full windows with random content."""
        tuples = self.options["context_length"] - self.pairing.from_second
        return random_windows(self.options, sequences, tuples, generator)


class WholeTrajectories:
    """Trajectories from their first step to their last, padded on the right to the longest of a batch.

    They are drawn with probability proportional to their length, as in DeMa's code, or evenly
    (`trajectory_draw`); `window_start=beginning` draws none twice while there are enough. What follows the
    last step changes no prediction before it.
    """

    def __init__(self, options: Options, normaliser: StateReader, pairing: Pairing) -> None:
        self.options, self.normaliser, self.pairing = options, normaliser, pairing

    def prepare(self, dataset: Dataset) -> None:
        """Fit the states' normaliser, and lay out what trajectories are gathered from."""
        self.normaliser.fit(dataset)
        self.steps = Steps(dataset, self.options, self.normaliser, self.pairing)

    def draw(self, generator: np.random.Generator) -> Batch:
        """`batch_size` trajectories."""
        dataset, options = self.steps.dataset, self.options
        if options["window_start"] == "anywhere" and options["trajectory_draw"] == "by-length":
            chosen = draw_by_length(dataset, options, generator)[0]
        else:
            chosen = draw_evenly(dataset, options, generator)
        start, end = dataset.starts[chosen], dataset.starts[chosen + 1]
        return self.steps.gather(Spans(start, start, end), int((end - start).max()), padded_on="right")

    def synthetic(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Whole episodes with random content."""
        tuples = self.options["max_episode_steps"] - self.pairing.from_second
        return random_windows(self.options, sequences, tuples, generator)
