"""Learning histories of many tasks: what a learner did while it learnt, episode by episode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Histories:
    """Learning histories of the training tasks, and the goals of both halves of the split.

    The episodes are those of the history that `evenly_spaced` names, in time order.

    positions: (tasks, episodes, horizon + 1, 2) int16, the last one after the final step;
    actions: (tasks, episodes, horizon) int8; rewards: (tasks, episodes, horizon) float32;
    train_goals, test_goals: (tasks, goal columns) int64.
    """

    positions: NDArray[np.int16]
    actions: NDArray[np.int8]
    rewards: NDArray[np.float32]
    train_goals: NDArray[np.int64]
    test_goals: NDArray[np.int64]

    @property
    def returns(self) -> NDArray[np.float32]:
        """(tasks, episodes) return of each episode."""
        return self.rewards.sum(axis=2)
