"""What the in-context methods share: contexts drawn from learning histories, and their embeddings.

Shapes: B contexts, E episodes in a context, T steps in an episode (`horizon`), D `embedding_dim`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.datasets.histories import Histories
from bench.envs.gridworld import ACTIONS


@dataclass
class Episodes:
    """Whole episodes: positions (B, E, T + 1, 2), actions (B, E, T), rewards (B, E, T)."""

    positions: NDArray[Any]
    actions: NDArray[Any]
    rewards: NDArray[Any]

    def take(self, order: NDArray[np.int64]) -> Episodes:
        """The episodes `order` (B, E') names, in that order."""
        rows = np.arange(len(order))[:, None]
        return Episodes(self.positions[rows, order], self.actions[rows, order], self.rewards[rows, order])

    def ordered(self, order: str) -> Episodes:
        """By ascending return (equal returns keep their time order), or as they are, in time."""
        if order == "time":
            return self
        return self.take(np.argsort(self.rewards.sum(axis=2), axis=1, kind="stable"))


def draw_contexts(
    histories: Histories, options: dict[str, Any], count: int, generator: np.random.Generator
) -> Episodes:
    """Draw `count` training contexts: a task each, then episodes of its history.

    `context_selection=random` takes episodes from anywhere in the history, `contiguous` a run of
    neighbours; `context_order` then sorts them by return (DM-H equation 4) or leaves them in time.
    """
    tasks, length = histories.actions.shape[:2]
    wanted = options["context_episodes"]
    task = generator.integers(tasks, size=count)
    if options["context_selection"] == "contiguous":
        chosen = generator.integers(length - wanted + 1, size=(count, 1)) + np.arange(wanted)
    else:
        chosen = np.sort(generator.integers(length, size=(count, wanted)), axis=1)
    rows = task[:, None]
    drawn = Episodes(
        histories.positions[rows, chosen], histories.actions[rows, chosen], histories.rewards[rows, chosen]
    )
    return drawn.ordered(options["context_order"])


def one_hot_position(positions: Tensor, room_side: int) -> Tensor:
    """(..., 2) integer coordinates to (..., 2 * room_side) floats: one-hot x, then one-hot y."""
    return nn.functional.one_hot(positions, room_side).flatten(-2).float()


class Modality(nn.Sequential):
    """A linear layer and a LayerNorm: DM-H's embedding of one modality."""

    def __init__(self, features: int, embedding_dim: int) -> None:
        super().__init__(nn.Linear(features, embedding_dim), nn.LayerNorm(embedding_dim))


class StepEmbedding(nn.Module):
    """Embeddings of states, actions and rewards of a grid world, each (..., D).

    An action or reward that does not exist yet (before the first step) is coded as action
    `ACTIONS` and reward 0.
    """

    def __init__(self, room_side: int, embedding_dim: int) -> None:
        super().__init__()
        self.room_side = room_side
        self.state_embedding = Modality(2 * room_side, embedding_dim)
        self.action_embedding = Modality(ACTIONS + 1, embedding_dim)
        self.reward_embedding = Modality(1, embedding_dim)

    def state(self, positions: Tensor) -> Tensor:
        """(..., 2) coordinates."""
        embedded: Tensor = self.state_embedding(one_hot_position(positions, self.room_side))
        return embedded

    def action(self, actions: Tensor) -> Tensor:
        """(...) integers in 0 ... ACTIONS."""
        embedded: Tensor = self.action_embedding(nn.functional.one_hot(actions, ACTIONS + 1).float())
        return embedded

    def reward(self, rewards: Tensor) -> Tensor:
        """(...) floats."""
        embedded: Tensor = self.reward_embedding(rewards.unsqueeze(-1))
        return embedded


def sample_actions(logits: Tensor, temperature: float, generator: torch.Generator) -> NDArray[np.int64]:
    """(rooms, ACTIONS) logits to (rooms,) actions; temperature 0 takes the likeliest."""
    if temperature == 0.0:
        actions = logits.argmax(dim=-1)
    else:
        probabilities = torch.softmax(logits.double() / temperature, dim=-1)
        actions = torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)
    chosen: NDArray[np.int64] = actions.numpy()
    return chosen


def episode_tensors(episodes: Episodes) -> tuple[Tensor, Tensor, Tensor]:
    """Positions (B, E, T + 1, 2) and actions (B, E, T) as integers, rewards (B, E, T) as floats."""
    return (
        torch.from_numpy(np.asarray(episodes.positions, dtype=np.int64)),
        torch.from_numpy(np.asarray(episodes.actions, dtype=np.int64)),
        torch.from_numpy(np.asarray(episodes.rewards, dtype=np.float32)),
    )


def random_episodes(
    options: dict[str, Any], count: int, episodes: int, generator: np.random.Generator
) -> Episodes:
    """Episodes of the true shapes with random content, for the probes."""
    horizon, side = options["horizon"], options["room_side"]
    return Episodes(
        generator.integers(side, size=(count, episodes, horizon + 1, 2)),
        generator.integers(ACTIONS, size=(count, episodes, horizon)),
        generator.integers(2, size=(count, episodes, horizon)).astype(np.float32),
    )
