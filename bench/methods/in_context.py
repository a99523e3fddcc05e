"""What the in-context methods share: contexts of whole episodes, their sampler, and their embeddings.

Shapes: B contexts, E episodes in a context, T steps in the longest of them, S `state_dim`, A `action_dim`,
D `embedding_dim`. Actions are integers (...) or vectors (..., A).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.datasets.arrays import Actions, States
from bench.datasets.episodes import Episodes
from bench.datasets.histories import Histories
from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch, Trial
from bench.methods.heads import drawn_actions
from bench.methods.normaliser import Normaliser, Unchanged
from bench.methods.spaces import Space, space_of

Dataset = Histories | Trajectories
BatchOf = Callable[[Episodes, np.random.Generator], Batch]


def draw_contexts(dataset: Dataset, options: Options, count: int, generator: np.random.Generator) -> Episodes:
    """Draw `count` training contexts: of learning histories a task each, then episodes of its history.

    Trajectories are all of one task; none is drawn twice in a batch if there are enough of them.
    `context_selection=random` takes episodes from anywhere, `contiguous` a run of neighbours among those
    stored; `context_order` then sorts them by return (DM-H equation 4) or leaves them in time.
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


class NormedLinear(nn.Sequential):
    """A linear layer and a LayerNorm: DM-H's embedding of one modality."""

    def __init__(self, features: int, embedding_dim: int) -> None:
        super().__init__(nn.Linear(features, embedding_dim), nn.LayerNorm(embedding_dim))


class RewardEmbedding(NormedLinear):
    """The embedding (..., D) of rewards (...), or of sums of them, divided by `reward_scale`.

    The LayerNorm forgets the size of what is large beside the bias of the linear layer: at initial weights
    the embeddings of 50 and 60 differ by 0.3 % of their length, those of 0 and 1 by 84 %.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(1, options["embedding_dim"])
        self.scale = options["reward_scale"]

    def forward(self, rewards: Tensor) -> Tensor:
        """(..., D) of rewards (...)."""
        embedded: Tensor = super().forward((rewards / self.scale).unsqueeze(-1))
        return embedded


class StepEmbedding(nn.Module):
    """Embeddings of states, coded actions and rewards, each (..., D)."""

    def __init__(self, space: Space, options: Options) -> None:
        super().__init__()
        width, self.space = options["embedding_dim"], space
        self.state_embedding = NormedLinear(space.state_features, width)
        self.action_embedding = NormedLinear(space.action_dim + 1, width)
        self.reward_embedding = RewardEmbedding(options)

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
        embedded: Tensor = self.reward_embedding(rewards)
        return embedded

    def before(self, actions: Tensor, rewards: Tensor) -> Tensor:
        """Embedding (B, N, D) of the action and the reward before each step; none before the first."""
        codes = self.space.encode_actions(actions)
        none = self.space.no_action(len(codes), 1, device=codes.device)
        earned = torch.cat([torch.zeros_like(rewards[:, :1]), rewards[:, :-1]], dim=1)
        return self.action(torch.cat([none, codes[:, :-1]], dim=1)) + self.reward(earned)


def choose_actions(predicted: Tensor, space: Space, trial: Trial) -> Actions:
    """Actions (count,) from logits (count, A), at temperature 0 the likeliest; continuous as predicted."""
    if not space.discrete:
        acted: NDArray[np.float32] = predicted.cpu().numpy().copy()
        return acted
    chosen: NDArray[np.int64] = drawn_actions(predicted, trial.temperature, trial.generator).cpu().numpy()
    return chosen


def random_episodes(options: Options, count: int, episodes: int, generator: np.random.Generator) -> Episodes:
    """Episodes of full length with random content, for the probes."""
    space = space_of(options)
    shape = (count, episodes, space.horizon)
    states: States
    actions: Actions
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


def normaliser_of(space: Space, options: Options) -> Normaliser | Unchanged:
    """The normaliser of a task's states; coordinates of a room are read as they are."""
    if space.room_side:
        return Unchanged()
    return Normaliser(space.state_dim, options["normalise_states"])


def normalised(episodes: Episodes, normaliser: Normaliser | Unchanged) -> Episodes:
    """The same episodes with standardised states."""
    states = normaliser.of(episodes.states)
    return Episodes(states, episodes.actions, episodes.rewards, episodes.lengths)


def kept_episodes(past: Episodes, options: Options, most: int) -> Episodes:
    """What an agent keeps of its past, in `test_context_order`: `most` episodes, or all of them.

    `kept_episodes=last` keeps those played last, `best` those of the highest return in each environment, of
    equal ones the later; `all` keeps every one, for methods that hold a state in place of a window.
    """
    count = past.lengths.shape[1]
    first = max(count - most, 0)
    chosen = np.tile(np.arange(count), (len(past.lengths), 1))
    if options["kept_episodes"] == "last":
        chosen = chosen[:, first:]
    elif options["kept_episodes"] == "best":
        chosen = np.sort(np.argsort(past.returns, axis=1, kind="stable")[:, first:], axis=1)
    return past.take(chosen).ordered(options["test_context_order"])


def read_past(past: Episodes, options: Options, normaliser: Normaliser | Unchanged) -> Episodes:
    """What an agent reads of its past beside the current episode, as `kept_episodes` says."""
    return normalised(kept_episodes(past, options, options["context_episodes"] - 1), normaliser)


def random_past(options: Options, fill: int, generator: np.random.Generator) -> Episodes:
    """Whole episodes of one environment that hold up to `fill` steps, with random content."""
    return random_episodes(options, 1, fill // space_of(options).horizon, generator)


class Contexts:
    """A sampler of contexts; `batch_of` makes a batch of their episodes."""

    def __init__(self, options: Options, normaliser: Normaliser | Unchanged, batch_of: BatchOf) -> None:
        self.options, self.normaliser, self.batch_of = options, normaliser, batch_of

    def prepare(self, dataset: Dataset) -> None:
        """Fit the states' normaliser, if the task has one."""
        self.dataset = dataset
        if isinstance(dataset, Trajectories):
            self.normaliser.fit(dataset)

    def draw(self, generator: np.random.Generator) -> Batch:
        """`batch_size` contexts of the dataset."""
        drawn = draw_contexts(self.dataset, self.options, self.options["batch_size"], generator)
        return self.batch_of(normalised(drawn, self.normaliser), generator)

    def synthetic(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Full contexts with random content."""
        episodes = random_episodes(self.options, sequences, self.options["context_episodes"], generator)
        return self.batch_of(episodes, generator)
