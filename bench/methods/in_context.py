"""What the in-context methods share: contexts of whole episodes, their embeddings, and the base of a learner.

Shapes: B contexts, E episodes in a context, T steps in the longest of them, S `state_dim`, A `action_dim`,
D `embedding_dim`. Actions are integers (...) or vectors (..., A).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.datasets.histories import Histories
from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch
from bench.methods.heads import drawn_actions
from bench.methods.normalised import NormalisedLearner
from bench.methods.spaces import Space, space_of

Dataset = Histories | Trajectories


@dataclass
class Episodes:
    """Whole episodes: states (B, E, T + 1, S), actions (B, E, T, ...), rewards (B, E, T), lengths (B, E).

    What lies behind an episode's length is padding, of any content.
    """

    states: NDArray[Any]
    actions: NDArray[Any]
    rewards: NDArray[Any]
    lengths: NDArray[np.int64]

    def take(self, order: NDArray[np.int64]) -> Episodes:
        """The episodes `order` (B, E') names, in that order."""
        rows = np.arange(len(order))[:, None]
        return Episodes(
            self.states[rows, order], self.actions[rows, order], self.rewards[rows, order],
            self.lengths[rows, order],
        )  # fmt: skip

    @classmethod
    def whole(cls, states: NDArray[Any], actions: NDArray[Any], rewards: NDArray[Any]) -> Episodes:
        """Episodes that all last T steps."""
        return cls(states, actions, rewards, np.full(rewards.shape[:2], rewards.shape[2]))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """States (B, E, T + 1, S), actions (B, E, T, ...) and rewards (B, E, T), integers as int64."""
        return tensor(self.states), tensor(self.actions), tensor(self.rewards)

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(B, E, T) whether a step is inside its episode."""
        within: NDArray[np.bool_] = np.arange(self.rewards.shape[2]) < self.lengths[..., None]
        return within

    @property
    def returns(self) -> NDArray[Any]:
        """(B, E) returns."""
        summed: NDArray[Any] = (self.rewards * self.inside).sum(axis=2)
        return summed

    def ordered(self, order: str) -> Episodes:
        """By ascending return (equal returns keep their time order), or as they are, in time."""
        if order == "time":
            return self
        return self.take(np.argsort(self.returns, axis=1, kind="stable"))


class Packed(NamedTuple):
    """The steps of episodes one after the other: (B, N, ...), N the most of a row; `valid` (B, N)."""

    states: Tensor
    actions: Tensor
    rewards: Tensor
    valid: Tensor

    def to(self, device: torch.device) -> Packed:
        """The same on a device."""
        return Packed(*(values.to(device) for values in self))


def packing(inside: NDArray[np.bool_], right: bool = False) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where the true entries of `inside` (B, M) go when each row is closed up to the left, or to the right.

    Returns the index of each entry (B, N), N the most true entries of a row, and which are real (B, N).
    """
    counts = inside.sum(axis=1)
    width = int(counts.max())
    order = np.argsort(~inside, axis=1, kind="stable")[:, :width]
    place = np.arange(width) - (width - counts[:, None] if right else 0)
    valid = (place >= 0) & (place < counts[:, None])
    return np.take_along_axis(order, np.where(valid, place, 0), axis=1), valid


def pack(episodes: Episodes, right: bool = False) -> Packed:
    """The steps of each row of episodes in one sequence; shorter rows are padded, on the left if `right`."""
    batch, count, longest = episodes.rewards.shape
    index, valid = packing(episodes.inside.reshape(batch, -1), right)
    rows = np.arange(batch)[:, None]
    flat = [
        values.reshape(batch, count * longest, *values.shape[3:])[rows, index]
        for values in (episodes.states[:, :, :-1], episodes.actions, episodes.rewards)
    ]
    states, actions, rewards = (tensor(values) for values in flat)
    return Packed(states, actions, rewards, torch.from_numpy(valid))


def tensor(values: NDArray[Any]) -> Tensor:
    """Integers as int64, other numbers as float32."""
    whole = np.issubdtype(values.dtype, np.integer)
    return torch.from_numpy(np.ascontiguousarray(values, np.int64 if whole else np.float32))


def draw_contexts(
    dataset: Dataset, options: dict[str, Any], count: int, generator: np.random.Generator
) -> Episodes:
    """Draw `count` training contexts: of learning histories a task each, then episodes of its history.

    Trajectories are all of one task; none is drawn twice in a batch where there are enough of them.
    `context_selection=random` takes episodes from anywhere, `contiguous` a run of neighbours;
    `context_order` then sorts them by return (DM-H equation 4) or leaves them in time.
    """
    wanted = options["context_episodes"]
    if isinstance(dataset, Histories):
        tasks, length = dataset.actions.shape[:2]
        length = max(wanted, round(options["history_share"] * length))
        task = generator.integers(tasks, size=count)
        enough = False
    else:
        length = len(dataset)
        enough = count * wanted <= length
    if options["context_selection"] == "contiguous":
        chosen = generator.integers(length - wanted + 1, size=(count, 1)) + np.arange(wanted)
    elif enough:
        chosen = generator.permutation(length)[: count * wanted].reshape(count, wanted)
    else:
        chosen = generator.integers(length, size=(count, wanted))
    chosen = np.sort(chosen, axis=1)
    if isinstance(dataset, Trajectories):
        drawn = _trajectories(dataset, chosen, options["discrete_actions"])
    else:
        rows = task[:, None]
        rewards = dataset.rewards[rows, chosen]
        drawn = Episodes.whole(dataset.positions[rows, chosen], dataset.actions[rows, chosen], rewards)
    return drawn.ordered(options["context_order"])


def _trajectories(dataset: Trajectories, chosen: NDArray[np.int64], discrete: bool) -> Episodes:
    """The trajectories `chosen` (B, E) names, padded to the longest."""
    lengths = dataset.lengths[chosen]
    steps = np.arange(int(lengths.max()) + 1)
    index = dataset.starts[chosen][..., None] + np.minimum(steps, lengths[..., None] - 1)
    states = dataset.observations[index]
    end = steps == lengths[..., None]
    states[end] = dataset.final_observations[chosen.ravel()]
    actions = dataset.actions[index[..., :-1]]
    if discrete:
        actions = actions.argmax(axis=-1)
    return Episodes(states, actions, dataset.rewards[index[..., :-1]], lengths)


class Modality(nn.Sequential):
    """A linear layer and a LayerNorm: DM-H's embedding of one modality."""

    def __init__(self, features: int, embedding_dim: int) -> None:
        super().__init__(nn.Linear(features, embedding_dim), nn.LayerNorm(embedding_dim))


class StepEmbedding(nn.Module):
    """Embeddings of states, coded actions and rewards, each (..., D)."""

    def __init__(self, space: Space, embedding_dim: int) -> None:
        super().__init__()
        self.space = space
        self.state_embedding = Modality(space.state_features, embedding_dim)
        self.action_embedding = Modality(space.action_dim + 1, embedding_dim)
        self.reward_embedding = Modality(1, embedding_dim)

    def state(self, states: Tensor) -> Tensor:
        """(..., S) as they are stored."""
        embedded: Tensor = self.state_embedding(self.space.encode_states(states))
        return embedded

    def action(self, codes: Tensor) -> Tensor:
        """(..., A + 1) codes."""
        embedded: Tensor = self.action_embedding(codes)
        return embedded

    def reward(self, rewards: Tensor) -> Tensor:
        """(...) floats."""
        embedded: Tensor = self.reward_embedding(rewards.unsqueeze(-1))
        return embedded

    def before(self, actions: Tensor, rewards: Tensor) -> Tensor:
        """Embedding (B, N, D) of the action and the reward before each step; none before the first."""
        codes = self.space.encode_actions(actions)
        none = self.space.no_action(len(codes), 1, device=codes.device)
        earned = torch.cat([torch.zeros_like(rewards[:, :1]), rewards[:, :-1]], dim=1)
        return self.action(torch.cat([none, codes[:, :-1]], dim=1)) + self.reward(earned)


def choose_actions(
    predicted: Tensor, space: Space, temperature: float, generator: torch.Generator
) -> NDArray[Any]:
    """Actions (rooms,) from logits (rooms, A), at temperature 0 the likeliest; continuous as predicted."""
    if not space.discrete:
        acted: NDArray[np.float32] = predicted.cpu().numpy().copy()
        return acted
    chosen: NDArray[np.int64] = drawn_actions(predicted, temperature, generator).cpu().numpy()
    return chosen


def random_episodes(
    options: dict[str, Any], count: int, episodes: int, generator: np.random.Generator
) -> Episodes:
    """Episodes of full length with random content, for the probes."""
    space = space_of(options)
    shape = (count, episodes, space.horizon)
    states: NDArray[Any]
    if space.room_side:
        states = generator.integers(space.room_side, size=(count, episodes, space.horizon + 1, 2))
    else:
        wide = (count, episodes, space.horizon + 1, space.state_dim)
        states = generator.standard_normal(wide, dtype=np.float32)
    if space.discrete:
        actions = generator.integers(space.action_dim, size=shape)
    else:
        actions = generator.uniform(-1, 1, size=(*shape, space.action_dim)).astype(np.float32)
    rewards = generator.integers(2, size=shape).astype(np.float32)
    return Episodes.whole(states, actions, rewards)


class InContextLearner(NormalisedLearner):
    """A method trained on contexts of whole episodes; sub-classes make batches of them, and give a policy."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.space = space_of(options)
        super().__init__(options, self.space.state_dim)

    @abstractmethod
    def batch_of(self, episodes: Episodes, generator: np.random.Generator) -> Batch:
        """A training batch of contexts."""

    def prepare(self, dataset: Dataset) -> None:
        """Take the states' normaliser, where the task has one."""
        if isinstance(dataset, Trajectories):
            self.take_normaliser(dataset)

    def normalise(self, states: NDArray[Any]) -> NDArray[Any]:
        """Standardise states (..., S); coordinates of a room stay as they are."""
        return states if self.space.room_side else super().normalise(states)

    def normalised(self, episodes: Episodes) -> Episodes:
        """The same episodes with standardised states."""
        return Episodes(self.normalise(episodes.states), episodes.actions, episodes.rewards, episodes.lengths)

    def context(self, past: Episodes) -> Episodes:
        """What an agent reads of its past: the last `context_episodes` - 1 episodes, in context order."""
        count = past.lengths.shape[1]
        first = max(count - (self.options["context_episodes"] - 1), 0)
        latest = np.tile(np.arange(first, count), (len(past.lengths), 1))
        return self.normalised(past.take(latest).ordered(self.options["context_order"]))

    def batch(self, dataset: Dataset, generator: np.random.Generator) -> Batch:
        """`batch_size` contexts of the dataset."""
        drawn = draw_contexts(dataset, self.options, self.options["batch_size"], generator)
        return self.batch_of(self.normalised(drawn), generator)

    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Full contexts with random content."""
        episodes = random_episodes(self.options, sequences, self.options["context_episodes"], generator)
        return self.batch_of(episodes, generator)

    def synthetic_past(self, fill: int, generator: np.random.Generator) -> Episodes:
        """Whole episodes of one environment that hold up to `fill` steps, with random content."""
        return random_episodes(self.options, 1, fill // self.space.horizon, generator)
