"""The acting half of proximal policy optimisation: running moments and rollouts (`ppo.py` learns)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets.policies import OBSERVATION_CLIP
from bench.worlds.mujoco.world import MujocoBatch

REWARD_CLIP = 10.0  # standard deviations of the discounted return
STD_FLOOR = 1e-4

Float32 = NDArray[np.float32]
ActAndValue = Callable[[Float32], tuple[Float32, Float32, Float32]]
Value = Callable[[Float32], Float32]


class RunningMoments:
    """Mean and variance of everything seen so far, merged batch by batch (Chan's formula), in float64."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.mean = np.zeros(shape, np.float64)
        self.variance = np.ones(shape, np.float64)
        self.count = 0

    def update(self, batch: NDArray[np.floating]) -> None:
        """Take in `batch` (samples, *shape)."""
        samples = len(batch)
        total = self.count + samples
        difference = batch.mean(axis=0, dtype=np.float64) - self.mean
        squares = self.variance * self.count + batch.var(axis=0, dtype=np.float64) * samples
        squares = squares + difference**2 * self.count * samples / total
        self.mean = self.mean + difference * samples / total
        self.variance = squares / total
        self.count = total

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation, never zero."""
        return np.sqrt(self.variance) + STD_FLOOR


@dataclass(frozen=True)
class Rollout:
    """What `steps` steps of `environments` environments gave; arrays are (steps, environments, ...) float32.

    Discrete actions are int64.
    Observations are normalised, rewards scaled; `ends` is 1 where an episode ended in that step;
    `last_values` (environments,) are the values of the observations after the last step.
    """

    observations: Float32
    actions: NDArray[Any]
    log_probabilities: Float32
    values: Float32
    rewards: Float32
    ends: Float32
    last_values: Float32


class RolloutCollector:
    """Steps a batch of environments without end, restarting each when its episode ends."""

    def __init__(
        self, env_id: str, environments: int, discount: float, seeds: np.random.SeedSequence
    ) -> None:
        self.batch = MujocoBatch(env_id, environments)
        self.observation_moments = RunningMoments((self.batch.observation_dim,))
        self._discount = discount
        self._return_moments = RunningMoments(())
        self._discounted_returns = np.zeros(environments, np.float64)
        self._episode_seeds = np.random.default_rng(seeds)
        self._observations = self.batch.reset([self._next_seed() for _ in range(environments)])
        self.observation_moments.update(self._observations)

    def normalise(self, observations: Float32) -> Float32:
        """Observations in standard deviations from the mean so far, clipped."""
        moments = self.observation_moments
        scaled = (observations - moments.mean) / moments.std
        return np.clip(scaled, -OBSERVATION_CLIP, OBSERVATION_CLIP).astype(np.float32)

    def collect(self, steps: int, act: ActAndValue, value: Value) -> Rollout:
        """Act for `steps` steps; `act` maps observations to actions, log-probabilities and values."""
        shape = (steps, self.batch.count)
        observations = np.empty((*shape, self.batch.observation_dim), np.float32)
        actions = np.empty((*shape, self.batch.action_dim), np.float32)
        log_probabilities, values, rewards, ends = (np.empty(shape, np.float32) for _ in range(4))
        for step in range(steps):
            observations[step] = self.normalise(self._observations)
            actions[step], log_probabilities[step], values[step] = act(observations[step])
            rewards[step], ends[step] = self._advance(actions[step], value)
        last_values = value(self.normalise(self._observations))
        return Rollout(observations, actions, log_probabilities, values, rewards, ends, last_values)

    def _advance(self, actions: Float32, value: Value) -> tuple[Float32, NDArray[np.bool_]]:
        following, rewards, terminated, truncated = self.batch.step(actions)
        ends = terminated | truncated
        self._discounted_returns = self._discounted_returns * self._discount + rewards
        self._return_moments.update(self._discounted_returns)
        scaled = np.clip(rewards / self._return_moments.std, -REWARD_CLIP, REWARD_CLIP)
        out_of_time = truncated & ~terminated
        if out_of_time.any():
            # the time limit is no part of the task: what would have followed is worth the critic's estimate
            scaled += self._discount * out_of_time * value(self.normalise(following))
        self.observation_moments.update(following)
        for index in np.flatnonzero(ends):
            following[index] = self.batch.restart(int(index), self._next_seed())
            self._discounted_returns[index] = 0.0
        self._observations = following
        return scaled.astype(np.float32), ends

    def _next_seed(self) -> int:
        return int(self._episode_seeds.integers(2**31))
