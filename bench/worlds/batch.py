"""Environments of one kind, many copies stepped together in one process.

Evaluation and data collection run whole episodes of unequal length side by side: a finished environment is
masked, not reset behind the caller's back, so that an episode's content depends on its seed and its actions
alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

import mujoco
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from bench.datasets.arrays import Actions
from bench.seeds import stream

FloatArray = NDArray[np.floating]
Step = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]

# Left alone, MuJoCo writes its warnings to MUJOCO_LOG.TXT in whatever folder the command was started.
# The function is compiled, and no stub declares it.
mujoco.set_mju_user_warning(logging.getLogger(__name__).warning)  # type: ignore[attr-defined]


class Environment(Protocol):
    """One copy, with the functions of a gymnasium environment and a time limit of its own."""

    def reset(self, *, seed: int) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; returns the observation and remarks."""

    def step(self, action: Any, /) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Observation, reward, terminated, truncated and remarks."""

    def close(self) -> None:
        """Free what it holds."""


class EpisodeBatch:
    """`count` environments with flat continuous observations and actions.

    Attributes: `observation_dim`, `action_dim`, `max_episode_steps` (environment steps, the time limit) and
    `action_low`, `action_high`, each (action_dim,) float32.
    """

    def __init__(
        self,
        env_id: str,
        environments: Sequence[Environment],
        observation_space: Box,
        action_space: Box,
        max_episode_steps: int,
    ) -> None:
        self.env_id = env_id
        self.count = len(environments)
        self.observation_dim = int(observation_space.shape[0])
        self.action_dim = int(action_space.shape[0])
        self.action_low = action_space.low.astype(np.float32)
        self.action_high = action_space.high.astype(np.float32)
        self.max_episode_steps = max_episode_steps
        self._environments = environments
        self._observations = np.zeros((self.count, self.observation_dim), np.float32)
        self._alive = np.zeros(self.count, bool)

    @property
    def alive(self) -> NDArray[np.bool_]:
        """(count,) bool: which environments are inside an episode; none before the first reset."""
        return self._alive.copy()

    def reset(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """Start an episode in every environment; one seed for each. Returns (count, dim) observations.

        Raises ValueError when the number of seeds is not the number of environments.
        """
        if len(seeds) != self.count:
            raise ValueError(
                f"{type(self).__name__}.reset: {len(seeds)} seeds for {self.count} environments of "
                f"{self.env_id}; pass one seed for each."
            )
        for index, seed in enumerate(seeds):
            self.restart(index, seed)
        return self._observations.copy()

    def restart(self, index: int, seed: int) -> NDArray[np.float32]:
        """Start a new episode in environment `index` alone; returns its (dim,) observation."""
        observation, _ = self._environments[index].reset(seed=int(seed))
        self._observations[index] = observation
        self._alive[index] = True
        return self._observations[index].copy()

    def step(self, actions: FloatArray) -> Step:
        """One step of every environment that is alive; `actions` (count, action_dim) are clipped to bounds.

        Returns observations (count, dim) float32, rewards (count,) float64, terminated and truncated (count,)
        bool.
        A flag is raised in the step that ends an episode. A finished environment is not stepped: it keeps
        its last observation, its reward is 0, its flags are False and its row of `actions` is ignored.

        Raises ValueError for actions of another shape, or not finite in an environment that is alive.
        """
        clipped = self.clip(actions)
        rewards = np.zeros(self.count, np.float64)
        terminated = np.zeros(self.count, bool)
        truncated = np.zeros(self.count, bool)
        for index in np.flatnonzero(self._alive):
            observation, reward, ended, out_of_time, _ = self._environments[int(index)].step(clipped[index])
            self._observations[index] = observation
            rewards[index] = float(reward)
            terminated[index], truncated[index] = ended, out_of_time
        self._alive &= ~(terminated | truncated)
        return self._observations.copy(), rewards, terminated, truncated

    def clip(self, actions: FloatArray) -> NDArray[np.float32]:
        """`actions` (count, action_dim) as the environments receive them: float32, inside the bounds.

        Raises ValueError for another shape, or for values that are not finite where an episode is running.
        """
        actions = np.asarray(actions, np.float32)
        if actions.shape != (self.count, self.action_dim):
            raise ValueError(
                f"{type(self).__name__}({self.env_id!r}): actions have shape {actions.shape}, "
                f"expected (count, action_dim) = {(self.count, self.action_dim)}."
            )
        if not np.isfinite(actions[self._alive]).all():
            raise ValueError(
                f"{type(self).__name__}({self.env_id!r}): actions hold NaN or infinity: "
                "the policy that made them has diverged."
            )
        return np.clip(actions, self.action_low, self.action_high)

    def close(self) -> None:
        """Free the simulators."""
        for environment in self._environments:
            environment.close()


def positive(count: int, kind: str, env_id: str) -> int:
    """`count`, the number of environments asked for; ValueError where it is below one."""
    if count < 1:
        raise ValueError(f"{kind}({env_id!r}): count is {count}, it must be at least 1.")
    return count


class SeededWorld:
    """A batch as a `World` for a test: each episode begins from the next seeds of a stream.

    The stream is named by the environment and the seed of the test.
    """

    def __init__(self, batch: EpisodeBatch, seed: int) -> None:
        self.batch, self.count = batch, batch.count
        self.starts = stream("eval", "starts", batch.env_id, seed)

    def reset(self) -> NDArray[np.float32]:
        """Begin an episode everywhere; observations (count, S)."""
        return self.batch.reset([int(number) for number in self.starts.integers(2**31, size=self.count)])

    def step(self, actions: Actions) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_]]:
        """Observations (count, S), rewards (count,), and which episodes are over (count,)."""
        states, rewards, _, _ = self.batch.step(actions)
        return states, rewards, ~self.batch.alive

    def close(self) -> None:
        """Free the simulators."""
        self.batch.close()
