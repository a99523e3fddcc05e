"""Consecutive episodes of a policy that reads its own past ones, in a batch of environments.

All environments begin an episode together; one whose episode is over waits for the others.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from bench.datasets.episodes import Actions, Episodes, Numbers, States
from bench.methods.base import Observation, Policy, Trial

Rows = list[tuple[str, float, float]]


class Agent(Protocol):
    """What a test is played by: a learner, or what stands in front of one."""

    def policy(self, trial: Trial) -> Policy:
        """A policy for the trial."""


class World(Protocol):
    """A batch of `count` environments, each of whose episodes ends on its own."""

    count: int

    def reset(self) -> States:
        """Begin an episode everywhere; states (count, S)."""

    def step(self, actions: Actions) -> tuple[States, Numbers, NDArray[np.bool_]]:
        """States (count, S), rewards (count,), and whether each episode is over."""


class SynchronousEnvironment(Protocol):
    """A batch of environments whose episodes all have the same length, such as rooms and mazes."""

    def reset(self) -> States:
        """Begin an episode everywhere; states (count, S)."""

    def step(self, actions: Actions) -> tuple[States, NDArray[np.float32], bool]:
        """States (count, S), rewards (count,), and whether all episodes are over."""


class Synchronous:
    """A batch whose episodes all end together, as `play` wants it."""

    def __init__(self, environment: SynchronousEnvironment, count: int) -> None:
        self.environment, self.count = environment, count

    def reset(self) -> States:
        """Begin an episode everywhere; states (count, S)."""
        return self.environment.reset()

    def step(self, actions: Actions) -> tuple[States, NDArray[np.float32], NDArray[np.bool_]]:
        """States (count, S), rewards (count,), and whether each episode is over."""
        states, rewards, over = self.environment.step(actions)
        return states, rewards, np.full(self.count, over)


@torch.no_grad()
def play(world: World, policy: Policy, episodes: int) -> Numbers:
    """(count, episodes) return of each episode of each environment."""
    past: list[Episodes] = []
    for _ in range(episodes):
        seen = world.reset()
        policy.begin(_joined(past, seen))
        past.append(_episode(world, policy, seen))
    return np.stack([episode.returns[:, 0] for episode in past], axis=1)


def _episode(world: World, policy: Policy, seen: States) -> Episodes:
    """One episode of each environment, (count, 1, ...), from the states `seen` (count, S) it begins with."""
    states, actions, rewards = [seen], [], []
    over, lengths = np.zeros(world.count, bool), np.zeros(world.count, np.int64)
    none_wanted = np.zeros(world.count, np.float32)
    while not over.all():
        lengths += ~over
        actions.append(policy.act(Observation(states[-1], none_wanted, ~over)))
        following, reward, ended = world.step(actions[-1])
        over = over | ended
        policy.observe(reward.astype(np.float32))
        states.append(following)
        rewards.append(reward.astype(np.float32))
    met, done, earned = (np.stack(values, axis=1)[:, None] for values in (states, actions, rewards))
    return Episodes(met, done, earned, lengths[:, None])


def _joined(past: list[Episodes], seen: States) -> Episodes:
    """Episodes (count, 1, ...) side by side, padded to the longest; (count, 0, ...) of none."""
    if not past:
        return Episodes.none(seen)
    longest = max(episode.rewards.shape[2] for episode in past)

    def padded(values: Numbers, steps: int) -> Numbers:
        width = [(0, 0)] * values.ndim
        width[2] = (0, steps - values.shape[2])
        return np.pad(values, width)

    return Episodes(
        np.concatenate([padded(episode.states, longest + 1) for episode in past], axis=1),
        np.concatenate([padded(episode.actions, longest) for episode in past], axis=1),
        np.concatenate([padded(episode.rewards, longest) for episode in past], axis=1),
        np.concatenate([episode.lengths for episode in past], axis=1),
    )
