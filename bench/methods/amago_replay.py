"""AMAGO's experience: the meta-episodes that were collected last, and drawing them."""

from __future__ import annotations

import numpy as np

from bench.catalogue.option_types import Options
from bench.datasets.arrays import Actions, Numbers, States
from bench.datasets.episodes import Episodes


def joined(parts: list[Episodes]) -> Episodes:
    """The contexts of all parts, one after the other."""
    return Episodes.whole(
        np.concatenate([part.states for part in parts]),
        np.concatenate([part.actions for part in parts]),
        np.concatenate([part.rewards for part in parts]),
    )


class Replay:
    """The last `capacity` meta-episodes that were collected."""

    def __init__(self, options: Options) -> None:
        capacity, count = options["replay_size"], options["context_episodes"]
        shape = (capacity, count, options["horizon"])
        self.episodes = Episodes.whole(
            np.zeros((capacity, count, options["horizon"] + 1, 2), np.int16),
            np.zeros(shape, np.int8),
            np.zeros(shape, np.float32),
        )
        self.added = 0

    @property
    def filled(self) -> int:
        """How many meta-episodes are there to draw from."""
        return min(self.added, len(self.episodes.actions))

    def add(self, positions: States, actions: Actions, rewards: Numbers) -> None:
        """Put new meta-episodes in the place of the oldest."""
        places = (self.added + np.arange(len(actions))) % len(self.episodes.actions)
        self.episodes.states[places] = positions
        self.episodes.actions[places] = actions
        self.episodes.rewards[places] = rewards
        self.added += len(actions)

    def draw(self, count: int, generator: np.random.Generator) -> Episodes:
        """`count` meta-episodes, evenly."""
        index = generator.integers(self.filled, size=count)
        kept = self.episodes
        return Episodes.whole(kept.states[index], kept.actions[index], kept.rewards[index])
