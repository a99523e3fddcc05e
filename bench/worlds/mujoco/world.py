"""MuJoCo's locomotion tasks as gymnasium registers them, many copies in a batch."""

from __future__ import annotations

import warnings

import gymnasium
from gymnasium.spaces import Box

from bench.errors import SpecError
from bench.worlds.batch import EpisodeBatch, positive


class MujocoBatch(EpisodeBatch):
    """`count` in-process copies of one gymnasium environment with flat continuous observations and actions.

    Raises SpecError for an unknown environment, spaces that are not flat boxes or a task without a time
    limit, and ValueError for a count below one.
    """

    def __init__(self, env_id: str, count: int) -> None:
        environments = [_make(env_id) for _ in range(positive(count, "MujocoBatch", env_id))]
        observation_space, action_space = _flat_boxes(environments[0], env_id)
        limit = _time_limit(environments[0], env_id)
        super().__init__(env_id, environments, observation_space, action_space, limit)


def _make(env_id: str) -> gymnasium.Env:
    try:
        with warnings.catch_warnings():
            # An older version is asked for on purpose: D4RL's robots are those of v4.
            warnings.filterwarnings("ignore", message=".*is out of date", category=DeprecationWarning)
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
