"""The T-maze of Ni et al. 2023, batched: many mazes of one length stepped at once.

A corridor runs along y = 0 from the oracle (x = 0) to the junction (x = oracle_length +
corridor_length); above and below the junction lies a goal candidate, y = 1 and y = -1, and one of
them is the goal. The agent starts at x = oracle_length: at the oracle in the passive maze
(oracle_length 0), beside it in the active one (1), where it has to walk back first. Actions:
0 right, 1 up, 2 left, 3 down; a move into a wall leaves the agent where it is.

What is seen is ambiguous, two numbers: (0, goal) at the oracle, on the first visit alone and
(0, 0) on later ones; (0, 0) in the corridor; (1, y) at the junction and in the goal arms. So the
goal has to be remembered over the corridor.

An episode always lasts `episode_length` steps, just enough for the best way. The last step pays 1
where the agent then is at its goal's height; each earlier step after which x < t - oracle_length,
t counting steps from 1, pays `penalty`: the agent is behind schedule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.datasets.arrays import Actions

Integers = NDArray[np.int64]
Floats = NDArray[np.float32]

ACTIONS, OBSERVATIONS = 4, 2
RIGHT, UP, LEFT, DOWN = range(ACTIONS)
MOVES = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], dtype=np.int64)
GOALS = (1, -1)


def episode_length(corridor_length: int, oracle_length: int) -> int:
    """Steps in an episode: to the oracle, back, along the corridor and into the arm."""
    return 2 * oracle_length + corridor_length + 1


def alternating_goals(mazes: int) -> Integers:
    """(mazes,) the two goals in turn, the upper one first."""
    return np.array(GOALS, dtype=np.int64)[np.arange(mazes) % len(GOALS)]


class TMaze:
    """A batch of mazes of one length, with one goal each.

    Args:
        corridor_length: steps from the start to the junction, at least 1.
        oracle_length: steps from the start back to the oracle, at least 0.
        goals: (mazes,) height of each goal, 1 or -1.
        penalty: reward, at most 0, of each step behind schedule.

    Raises:
        ValueError: a length or penalty out of range, or goals of another shape or value.
    """

    def __init__(
        self, corridor_length: int, oracle_length: int, goals: Integers, penalty: float = 0.0
    ) -> None:
        if corridor_length < 1 or oracle_length < 0:
            raise ValueError(
                f"corridor_length must be at least 1 and oracle_length at least 0, "
                f"got {corridor_length} and {oracle_length}"
            )
        if penalty > 0:
            raise ValueError(f"penalty must be at most 0, got {penalty}")
        if goals.ndim != 1 or not np.isin(goals, GOALS).all():
            raise ValueError(
                f"goals must have shape (mazes,) and be 1 or -1, got shape {goals.shape} with values "
                f"{np.unique(goals).tolist()}"
            )
        self.oracle_length, self.goals, self.penalty = oracle_length, goals, penalty
        self.junction = oracle_length + corridor_length
        self.horizon = episode_length(corridor_length, oracle_length)
        self.count = len(goals)
        self.reset()

    def reset(self) -> Floats:
        """Begin an episode in every maze; returns the observations (mazes, 2)."""
        self.x = np.full(self.count, self.oracle_length, dtype=np.int64)
        self.y = np.zeros(self.count, dtype=np.int64)
        self.told = np.zeros(self.count, dtype=bool)
        self.time = 0
        return self._observe()

    def step(self, actions: Actions) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Move every agent; observations (mazes, 2), rewards and whether the episodes are over (mazes,)."""
        if self.time >= self.horizon:
            raise RuntimeError("the episode is over: call reset() before step()")
        moves = MOVES[actions]
        x, y = self.x + moves[:, 0], self.y + moves[:, 1]
        in_corridor = (y == 0) & (x >= 0) & (x <= self.junction)
        in_arm = (np.abs(y) == 1) & (x == self.junction)
        free = in_corridor | in_arm
        self.x, self.y = np.where(free, x, self.x), np.where(free, y, self.y)
        self.time += 1
        over = np.full(self.count, self.time == self.horizon)
        if over.all():
            rewards = (self.y == self.goals).astype(np.float32)
        else:
            behind = self.x < self.time - self.oracle_length
            rewards = np.where(behind, np.float32(self.penalty), np.float32(0.0))
        return self._observe(), rewards, over

    def close(self) -> None:
        """Nothing is held."""

    def _observe(self) -> Floats:
        at_oracle, at_end = self.x == 0, self.x == self.junction
        seen = np.zeros((self.count, OBSERVATIONS), dtype=np.float32)
        seen[:, 0] = at_end
        seen[:, 1] = np.where(at_end, self.y, np.where(at_oracle & ~self.told, self.goals, 0))
        self.told |= at_oracle
        return seen
