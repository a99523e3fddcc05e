"""Learning histories: what a gradient-based learner does while it learns, for many tasks at once.

The learner is Q-learning on a one-hot state, its weights moved by stochastic gradient descent
on the squared temporal-difference error: one table of values a task, all tasks stepped
together. Exploration is epsilon-greedy, epsilon falling linearly over the first half of the
history. (DM-H, Section 5.1, names gradient-based RL such as DQN and 1 M steps an environment.)

After the last one-time reward of an episode was paid nothing can be earned any more although
the episode goes on; those steps are left out of the updates, else they would unlearn the
value of the way to the goal.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.envs.gridworld import ACTIONS, GridWorld, all_goals
from bench.spec.seeds import stream

FILES = ("histories.npz",)


@dataclass(frozen=True)
class Histories:
    """Learning histories of the training tasks, and the goals of both halves of the split.

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


def split_tasks(
    options: dict[str, Any], generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Goals of the training tasks and of the unseen test tasks, drawn without replacement.

    Raises ValueError if the room has fewer tasks than are asked for.
    """
    goals = all_goals(options["world"], options["room_side"])
    train, test = options["train_tasks"], options["test_tasks"]
    if train + test > len(goals):
        raise ValueError(
            f"train_tasks + test_tasks = {train + test}, but a room of side {options['room_side']} has only "
            f"{len(goals)} tasks of {options['world']}; ask for fewer or take a larger room"
        )
    order = generator.permutation(len(goals))[: train + test]
    return goals[order[:train]], goals[order[train:]]


def _learn(
    options: dict[str, Any], goals: NDArray[np.int64], generator: np.random.Generator
) -> dict[str, Any]:
    """Run the learner on every task at once; returns positions, actions and rewards of each episode."""
    side, horizon, tasks = options["room_side"], options["horizon"], len(goals)
    episodes = options["history_steps"] // (tasks * horizon)
    world = GridWorld(options["world"], side, horizon, goals, options["start"], generator)
    # The state holds what has been collected beside the position: the learner, unlike the agents
    # trained on its history, is told; else no fixed policy could fetch the key and then the door.
    values = np.full((tasks, 4 * side * side, ACTIONS), options["initial_value"], dtype=np.float64)
    rows = np.arange(tasks)
    positions = np.empty((tasks, episodes, horizon + 1, 2), dtype=np.int16)
    actions = np.empty((tasks, episodes, horizon), dtype=np.int8)
    rewards = np.empty((tasks, episodes, horizon), dtype=np.float32)
    for episode in range(episodes):
        epsilon = max(0.0, 1.0 - 2.0 * episode / max(episodes - 1, 1)) * options["exploration"]
        positions[:, episode, 0] = world.reset()
        state = _state(world)
        for t in range(horizon):
            # Ties are broken at random, or a table of equal values would always go left.
            greedy = (values[rows, state] + 1e-9 * generator.random((tasks, ACTIONS))).argmax(axis=1)
            action = np.where(
                generator.random(tasks) < epsilon, generator.integers(ACTIONS, size=tasks), greedy
            )
            counts = ~world.finished_reward()
            position, reward, _ = world.step(action)
            following = _state(world)
            # Nothing can follow the last one-time reward; the horizon itself is no end of the values.
            bootstrap = np.where(world.finished_reward(), 0.0, values[rows, following].max(axis=1))
            error = reward + options["discount"] * bootstrap - values[rows, state, action]
            values[rows, state, action] += options["history_learning_rate"] * error * counts
            positions[:, episode, t + 1], actions[:, episode, t] = position, action
            rewards[:, episode, t] = reward
            state = following
    return {"positions": positions, "actions": actions, "rewards": rewards}


def _state(world: GridWorld) -> NDArray[np.int64]:
    cell = world.position[:, 0] * world.room_side + world.position[:, 1]
    return cell + (world.collected[:, 0] * 1 + world.collected[:, 1] * 2) * world.room_side**2


def make(options: dict[str, Any], task: str, folder: Path) -> dict[str, Any]:
    """Make the histories of a task and write them to `folder`; returns facts for the sidecar."""
    goals, unseen = split_tasks(options, stream("data", "split", task))
    learnt = _learn(options, goals, stream("data", "histories", task))
    np.savez(folder / FILES[0], train_goals=goals, test_goals=unseen, **learnt)
    returns = learnt["rewards"].sum(axis=2)
    tenth = max(returns.shape[1] // 10, 1)
    return {
        "train_tasks": goals.tolist(),
        "test_tasks": unseen.tolist(),
        "transitions": int(learnt["actions"].size),
        "episodes_per_task": int(returns.shape[1]),
        "first_decile_return": float(returns[:, :tenth].mean()),
        "last_decile_return": float(returns[:, -tenth:].mean()),
    }


def load(folder: Path) -> Histories:
    """The histories written by `make`."""
    with np.load(folder / FILES[0]) as stored:
        return Histories(**{name: stored[name] for name in stored.files})
