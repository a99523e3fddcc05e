"""The optimal episodes of a T-maze: what the models of DM-H's memory experiment are trained on.

A maze has two of them, one for each goal, and nothing in them is random; more than two repeat
those two in turn. Actions are stored one-hot, as the return-conditioned methods want them.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.trajectories import Trajectories, Trajectory
from bench.work.record import Facts
from bench.worlds.tmaze.world import ACTIONS, DOWN, LEFT, RIGHT, UP, TMaze, alternating_goals, episode_length

FILES = ("trajectories.npz",)


def optimal_actions(corridor_length: int, oracle_length: int, goals: NDArray[np.int64]) -> NDArray[np.int64]:
    """(mazes, episode length) actions: to the oracle, to the junction, into the goal's arm."""
    actions = np.full((len(goals), episode_length(corridor_length, oracle_length)), RIGHT, dtype=np.int64)
    actions[:, :oracle_length] = LEFT
    actions[:, -1] = np.where(goals == 1, UP, DOWN)
    return actions


def make(options: Options, task: str, folder: Path) -> Facts:
    """Play the optimal episodes and write them to `folder`; returns facts for the sidecar.

    Raises ValueError where `max_episode_steps` is not what the lengths of the maze give.
    """
    corridor, oracle = options["corridor_length"], options["oracle_length"]
    steps = episode_length(corridor, oracle)
    if options["max_episode_steps"] != steps:
        raise ValueError(
            f"max_episode_steps of {task} is {options['max_episode_steps']}, but a maze with corridor_length "
            f"{corridor} and oracle_length {oracle} has episodes of {steps} steps; set it to {steps}"
        )
    goals = alternating_goals(options["trajectories"])
    maze = TMaze(corridor, oracle, goals, options["penalty"])
    actions = optimal_actions(corridor, oracle, goals)
    observations, rewards = [maze.reset()], []
    for step in actions.T:
        seen, reward, _ = maze.step(step)
        observations.append(seen)
        rewards.append(reward)
    seen_at, paid = np.stack(observations, axis=1), np.stack(rewards, axis=1)
    one_hot = np.eye(ACTIONS, dtype=np.float32)[actions]
    trajectories = Trajectories.from_episodes(
        [
            Trajectory.whole(seen_at[row], one_hot[row], paid[row], terminated=True)
            for row in range(len(goals))
        ]
    )
    np.savez(
        folder / FILES[0], **{field.name: getattr(trajectories, field.name) for field in fields(trajectories)}
    )
    return {
        "transitions": trajectories.transitions,
        "trajectories": len(trajectories),
        "mean_return": float(trajectories.returns.mean()),
        "content_sha256": trajectories.digest(),
    }


def load(folder: Path) -> Trajectories:
    """The dataset written by `make`."""
    with np.load(folder / FILES[0]) as stored:
        return Trajectories(**{name: stored[name] for name in stored.files})
