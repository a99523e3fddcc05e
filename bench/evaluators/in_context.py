"""Online testing without updates (DM-H Section 5.1): consecutive episodes on unseen tasks.

Rooms are spread evenly over the unseen goals and stepped together. Which goals, starts and
sampling noise a room meets depends on the task and the seed alone, not on the method.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from bench.envs.gridworld import goal_columns, make_rooms
from bench.methods.in_context import Episodes
from bench.spec.seeds import stream, stream_seed

__all__ = ["evaluate", "goal_columns", "returns_by_episode", "spread_goals"]


class InContextPolicy(Protocol):
    """What a method gives: a policy for a batch of rooms."""

    def begin(self, past: Episodes) -> None: ...

    def act(
        self, positions: NDArray[np.int64], temperature: float, generator: torch.Generator
    ) -> NDArray[np.int64]: ...

    def observe(self, rewards: NDArray[np.float32]) -> None: ...


def spread_goals(goals: NDArray[np.int64], rooms: int) -> NDArray[np.int64]:
    """(rooms, columns): the goals one after the other, round and round."""
    return goals[np.arange(rooms) % len(goals)]


@torch.no_grad()
def returns_by_episode(
    policy: InContextPolicy, options: dict[str, Any], goals: NDArray[np.int64], task: str, seed: int
) -> NDArray[np.float32]:
    """(rooms, episodes) return of each test episode of each room."""
    world = make_rooms(options, goals, stream("eval", "starts", task, seed))
    noise = torch.Generator().manual_seed(stream_seed("eval", "actions", task, seed))
    rooms, horizon, episodes = world.rooms, options["horizon"], options["episodes"]
    positions = np.zeros((rooms, episodes, horizon + 1, 2), dtype=np.int64)
    actions = np.zeros((rooms, episodes, horizon), dtype=np.int64)
    rewards = np.zeros((rooms, episodes, horizon), dtype=np.float32)
    for episode in range(episodes):
        policy.begin(Episodes(positions[:, :episode], actions[:, :episode], rewards[:, :episode]))
        positions[:, episode, 0] = world.reset()
        for t in range(horizon):
            action = policy.act(positions[:, episode, t], options["temperature"], noise)
            positions[:, episode, t + 1], reward, _ = world.step(action)
            policy.observe(reward)
            actions[:, episode, t], rewards[:, episode, t] = action, reward
    return rewards.sum(axis=2)


def evaluate(
    learner: Any, options: dict[str, Any], task: str, seed: int, facts: dict[str, Any]
) -> list[tuple[str, float, float]]:
    """Rows (metric, index, value): the mean return of each episode, and of the last one.

    `facts` are the dataset's; its `test_tasks` are the unseen goals.
    """
    goals = spread_goals(np.array(facts["test_tasks"], dtype=np.int64), options["evaluation_environments"])
    returns = returns_by_episode(learner.policy(len(goals)), options, goals, task, seed)
    means = returns.mean(axis=0, dtype=np.float64)
    rows = [("episode_return", float(number + 1), float(mean)) for number, mean in enumerate(means)]
    return [*rows, ("last_return", 0.0, float(means[-1]))]
