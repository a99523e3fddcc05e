"""MuJoCo tasks, many copies stepped together in one process.

Evaluation and data collection run whole episodes of unequal length side by side: a finished environment is
masked, not reset behind the caller's back, so that an episode's content depends on its seed and its actions
alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import gymnasium
import mujoco
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from bench.spec.errors import SpecError

FloatArray = NDArray[np.floating]
Step = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]

# Left alone, MuJoCo writes its warnings to MUJOCO_LOG.TXT in whatever folder the command was started.
# The function is compiled, and no stub declares it.
mujoco.set_mju_user_warning(logging.getLogger(__name__).warning)  # type: ignore[attr-defined]


class MujocoBatch:
    """`count` in-process copies of one gymnasium environment with flat continuous observations and actions.

    Attributes: `observation_dim`, `action_dim`, `max_episode_steps` (environment steps, the time limit) and
    `action_low`, `action_high`, each (action_dim,) float32.

    Raises SpecError for an unknown environment, spaces that are not flat boxes or a task without a time
    limit, and ValueError for a count below one.
    """

    def __init__(self, env_id: str, count: int) -> None:
        if count < 1:
            raise ValueError(f"MujocoBatch({env_id!r}): count is {count}, it must be at least 1.")
        self.env_id = env_id
        self.count = count
        self._environments = [_make(env_id) for _ in range(count)]
        observation_space, action_space = _flat_boxes(self._environments[0], env_id)
        self.observation_dim = int(observation_space.shape[0])
        self.action_dim = int(action_space.shape[0])
        self.action_low = action_space.low.astype(np.float32)
        self.action_high = action_space.high.astype(np.float32)
        self.max_episode_steps = _time_limit(self._environments[0], env_id)
        self._observations = np.zeros((count, self.observation_dim), np.float32)
        self._alive = np.zeros(count, bool)

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
                f"MujocoBatch.reset: {len(seeds)} seeds for {self.count} environments of {self.env_id}; "
                "pass one seed for each."
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
            observation, reward, ended, out_of_time, _ = self._environments[index].step(clipped[index])
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
                f"MujocoBatch({self.env_id!r}): actions have shape {actions.shape}, "
                f"expected (count, action_dim) = {(self.count, self.action_dim)}."
            )
        if not np.isfinite(actions[self._alive]).all():
            raise ValueError(
                f"MujocoBatch({self.env_id!r}): actions hold NaN or infinity: "
                "the policy that made them has diverged."
            )
        return np.clip(actions, self.action_low, self.action_high)

    def close(self) -> None:
        """Free the simulators."""
        for environment in self._environments:
            environment.close()


def _make(env_id: str) -> gymnasium.Env:
    try:
        return gymnasium.make(env_id, disable_env_checker=True)
    except (gymnasium.error.UnregisteredEnv, gymnasium.error.DeprecatedEnv) as error:
        raise SpecError(
            f"Unknown environment {env_id!r}: {error} Name one that gymnasium registers, such as 'Hopper-v5'."
        ) from error


def _flat_boxes(environment: gymnasium.Env, env_id: str) -> tuple[Box, Box]:
    spaces = (environment.observation_space, environment.action_space)
    for kind, space in zip(("observation", "action"), spaces, strict=True):
        if not isinstance(space, Box) or len(space.shape) != 1:
            raise SpecError(
                f"MujocoBatch needs flat continuous spaces, but the {kind} space of {env_id} is {space}; "
                "use a MuJoCo locomotion task."
            )
    return spaces  # type: ignore[return-value]


def _time_limit(environment: gymnasium.Env, env_id: str) -> int:
    limit = environment.spec.max_episode_steps if environment.spec is not None else None
    if limit is None:
        raise SpecError(f"{env_id} has no time limit: an episode might never end. Use a task that has one.")
    return int(limit)
