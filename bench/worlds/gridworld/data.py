"""Learning histories: what a gradient-based learner does while it learns, for many tasks at once.

The learner is Q-learning on a one-hot state, its weights moved by stochastic gradient descent
on the squared temporal-difference error: one table of values a task, all tasks stepped
together. Exploration is epsilon-greedy, epsilon falling linearly over the first half of the
history. (DM-H, Section 5.1, names gradient-based RL such as DQN and 1 M steps an environment.)

A table that begins above zero (`initial_value`) draws the greedy action to what was tried least,
which is how a goal is found in a Large room: a random walk hardly ever leaves its middle.

After the last one-time reward of an episode was paid nothing can be earned any more although
the episode goes on; those steps are left out of the updates, else they would unlearn the
value of the way to the goal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.histories import Histories
from bench.seeds import stream
from bench.work.record import Facts
from bench.worlds.gridworld.tasks import mean_optimal_returns, numbered_goals, task_count
from bench.worlds.gridworld.world import ACTIONS, PHASES, GridWorld, make_rooms

FILES = ("histories.npz",)
# A task counts as solved when the last tenth of its history earns this share of the optimum.
SOLVED = 0.9


def split_tasks(
    options: Options, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Goals of the training tasks and of the unseen test tasks, drawn without replacement.

    Raises ValueError if the room has fewer tasks than are asked for.
    """
    world, side = options["world"], options["room_side"]
    count = task_count(world, side)
    train, test = options["train_tasks"], options["test_tasks"]
    if train + test > count:
        raise ValueError(
            f"train_tasks + test_tasks = {train + test}, but a room of side {side} has only "
            f"{count} tasks of {world}; ask for fewer or take another room"
        )
    goals = numbered_goals(world, side, generator.choice(count, size=train + test, replace=False))
    return goals[:train], goals[train:]


def evenly_spaced(episodes: int, stored: int) -> NDArray[np.int64]:
    """(min(episodes, stored),) rising numbers below `episodes`, the first and the last among them.

    A single one is the first.
    """
    numbers = np.linspace(0, episodes - 1, min(stored, episodes))
    return np.round(numbers).astype(np.int64)


class _TableLearner:
    """Q-learning for all tasks at once; a flat table of (task, phase, cell, action)."""

    def __init__(self, options: Options, world: GridWorld, generator: np.random.Generator) -> None:
        self.options, self.world, self.generator = options, world, generator
        # The state holds the room's phase beside the cell: the learner, unlike the agents trained on
        # its history, is told; else no fixed policy could fetch the key and then the door.
        states = PHASES * world.room_side**2
        self.values = np.full((world.count * states, ACTIONS), options["initial_value"], dtype=np.float64)
        self.flat = self.values.reshape(-1)
        self.first_state = np.arange(world.count) * states

    def state(self) -> NDArray[np.int64]:
        """(tasks,) rows of the table in which the tasks now are."""
        position, side = self.world.position, self.world.room_side
        cell = position[:, 0] * side + position[:, 1]
        return self.first_state + self.world.phase() * side**2 + cell

    def episode(
        self,
        epsilon: float,
        positions: NDArray[np.int64],
        actions: NDArray[np.int64],
        rewards: NDArray[np.float32],
    ) -> None:
        """Play and learn one episode.

        Its positions are written to (horizon + 1, tasks, 2), actions and rewards to (horizon, tasks) each.
        """
        world, discount = self.world, self.options["discount"]
        rate = self.options["history_learning_rate"]
        shape = (world.horizon, world.count)
        wanders = self.generator.random(shape) < epsilon
        anywhere = self.generator.integers(ACTIONS, size=shape)
        # Ties are broken at random, or a table of equal values would always go left.
        ties = 1e-9 * self.generator.random((*shape, ACTIONS))
        positions[0] = world.reset()
        state, finished = self.state(), world.finished_reward()
        for t in range(world.horizon):
            greedy = (self.values[state] + ties[t]).argmax(axis=1)
            actions[t] = np.where(wanders[t], anywhere[t], greedy)
            counts = ~finished
            positions[t + 1], rewards[t], _ = world.step(actions[t])
            following, finished = self.state(), world.finished_reward()
            # Nothing can follow the last one-time reward; the horizon itself is no end of the values.
            bootstrap = self.values[following].max(axis=1) * ~finished
            chosen = state * ACTIONS + actions[t]
            error = rewards[t] + discount * bootstrap - self.flat[chosen]
            self.flat[chosen] += rate * error * counts
            state = following


def _learn(
    options: Options, goals: NDArray[np.int64], generator: np.random.Generator
) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Run the learner on every task at once.

    Returns the stored episodes as the fields of `Histories`, and the (tasks, episodes) returns of all.
    Raises ValueError if `history_steps` does not suffice for an episode of each task.
    """
    horizon, tasks = options["horizon"], len(goals)
    episodes = options["history_steps"] // (tasks * horizon)
    if episodes < 1:
        raise ValueError(
            f"history_steps = {options['history_steps']} is less than one episode of {horizon} steps in each "
            f"of {tasks} tasks; ask for {tasks * horizon} or more"
        )
    numbers = evenly_spaced(episodes, options["stored_episodes"])
    learner = _TableLearner(options, make_rooms(options, goals, generator), generator)
    stored: dict[str, Any] = {
        "positions": np.empty((tasks, len(numbers), horizon + 1, 2), dtype=np.int16),
        "actions": np.empty((tasks, len(numbers), horizon), dtype=np.int8),
        "rewards": np.empty((tasks, len(numbers), horizon), dtype=np.float32),
    }
    returns = np.empty((tasks, episodes), dtype=np.float32)
    positions = np.empty((horizon + 1, tasks, 2), dtype=np.int64)
    actions = np.empty((horizon, tasks), dtype=np.int64)
    rewards = np.empty((horizon, tasks), dtype=np.float32)
    place = 0
    for episode in range(episodes):
        epsilon = max(0.0, 1.0 - 2.0 * episode / max(episodes - 1, 1)) * options["exploration"]
        learner.episode(epsilon, positions, actions, rewards)
        returns[:, episode] = rewards.sum(axis=0)
        if episode == numbers[place]:
            stored["positions"][:, place] = positions.swapaxes(0, 1)
            stored["actions"][:, place], stored["rewards"][:, place] = actions.T, rewards.T
            place = min(place + 1, len(numbers) - 1)
    return stored, returns


def make(options: Options, task: str, folder: Path) -> Facts:
    """Make the histories of a task and write them to `folder`; returns facts for the sidecar."""
    goals, unseen = split_tasks(options, stream("data", "split", task))
    stored, returns = _learn(options, goals, stream("data", "histories", task))
    np.savez(folder / FILES[0], train_goals=goals, test_goals=unseen, **stored)
    tenth = max(returns.shape[1] // 10, 1)
    last, optimal = returns[:, -tenth:].mean(axis=1), mean_optimal_returns(options, goals)
    return {
        "train_tasks": goals.tolist(),
        "test_tasks": unseen.tolist(),
        "transitions": int(returns.size * options["horizon"]),
        "episodes_per_task": int(returns.shape[1]),
        "stored_episodes_per_task": int(stored["actions"].shape[1]),
        "first_decile_return": float(returns[:, :tenth].mean()),
        "last_decile_return": float(returns[:, -tenth:].mean()),
        "optimal_return": float(optimal.mean()),
        "solved_tasks": float((last >= SOLVED * optimal).mean()),
    }


def load(folder: Path) -> Histories:
    """The histories written by `make`."""
    with np.load(folder / FILES[0]) as stored:
        return Histories(**{name: stored[name] for name in stored.files})
