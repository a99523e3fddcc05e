"""Whole episodes in a T-maze for a method that acts in context: its context is the episode itself (DM-H)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.envs.tmaze import TMaze, alternating_goals
from bench.evaluators.episodes import Rows, play
from bench.evaluators.tmaze import scores
from bench.spec.seeds import stream_seed


class Mazes:
    """A batch of mazes as `play` wants it: all episodes have the same length."""

    def __init__(self, maze: TMaze) -> None:
        self.maze, self.count, self.horizon = maze, maze.mazes, maze.horizon

    def reset(self) -> NDArray[np.float32]:
        """Begin an episode in every maze; observations (mazes, 2)."""
        return self.maze.reset()

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """Observations (mazes, 2), rewards (mazes,), and whether each episode is over."""
        seen, rewards, over = self.maze.step(actions)
        return seen, rewards, np.full(self.count, over)


def evaluate(learner: Any, options: dict[str, Any], task: str, seed: int, facts: dict[str, Any]) -> Rows:
    """Rows (metric, index, value): mean and deviation of the return, and the share of mazes solved."""
    goals = alternating_goals(options["evaluation_episodes"])
    maze = TMaze(options["corridor_length"], options["oracle_length"], goals, options["penalty"])
    noise = stream_seed("eval", "actions", task, seed)
    returns = play(Mazes(maze), learner.policy(len(goals)), 1, options["temperature"], noise)
    return scores(returns[:, 0].astype(np.float64))
