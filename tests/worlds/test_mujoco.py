"""The batch of MuJoCo environments against single gymnasium environments."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from suites import CATALOGUE

from bench.catalogue.load import load_catalogue
from bench.catalogue.values import defaults
from bench.errors import SpecError
from bench.work.cells import parse_slug, trained_cell
from bench.worlds.mujoco.test import make_world
from bench.worlds.mujoco.world import MujocoBatch

SEEDS = [3, 1, 4]
MAX_STEPS = 60


def play_alone(env_id: str, seed: int, actions: np.ndarray) -> list[tuple[np.ndarray, float, bool, bool]]:
    """(observation, reward, terminated, truncated) of each step of one environment until its episode ends."""
    environment = gymnasium.make(env_id)
    environment.reset(seed=seed)
    steps = []
    for action in actions:
        observation, reward, terminated, truncated, _ = environment.step(action)
        steps.append((observation.astype(np.float32), float(reward), terminated, truncated))
        if terminated or truncated:
            break
    environment.close()
    return steps


@pytest.mark.parametrize("env_id", ["Hopper-v5", "HalfCheetah-v5"])
def test_batch_equals_single_environments(env_id: str) -> None:
    batch = MujocoBatch(env_id, len(SEEDS))
    shape = (MAX_STEPS, len(SEEDS), batch.action_dim)
    actions = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    alone = [play_alone(env_id, seed, actions[:, index]) for index, seed in enumerate(SEEDS)]
    batch.reset(SEEDS)
    for step in range(MAX_STEPS):
        observations, rewards, terminated, truncated = batch.step(actions[step])
        for index, steps in enumerate(alone):
            running = step < len(steps)
            observation, *rest = steps[min(step, len(steps) - 1)]
            np.testing.assert_array_equal(observations[index], observation)
            expected = rest if running else [0.0, False, False]
            assert [rewards[index], terminated[index], truncated[index]] == expected
    if env_id == "Hopper-v5":
        assert not batch.alive.all(), "random actions topple a hopper, so that masking was tested"


def test_attributes_and_types() -> None:
    batch = MujocoBatch("Hopper-v5", 2)
    assert (batch.observation_dim, batch.action_dim, batch.max_episode_steps) == (11, 3, 1000)
    np.testing.assert_array_equal(batch.action_low, [-1, -1, -1])
    np.testing.assert_array_equal(batch.action_high, [1, 1, 1])
    assert not batch.alive.any()
    observations = batch.reset([0, 1])
    assert batch.alive.all()
    assert observations.shape == (2, 11)
    assert observations.dtype == np.float32
    _, rewards, terminated, truncated = batch.step(np.zeros((2, 3)))
    assert (rewards.dtype, terminated.dtype, truncated.dtype) == (np.float64, bool, bool)


def test_actions_are_clipped() -> None:
    inside, outside = MujocoBatch("Hopper-v5", 1), MujocoBatch("Hopper-v5", 1)
    inside.reset([0])
    outside.reset([0])
    for _ in range(5):
        at_bound = inside.step(np.ones((1, 3)))
        beyond = outside.step(np.full((1, 3), 7.0))
        for left, right in zip(at_bound, beyond, strict=True):
            np.testing.assert_array_equal(left, right)


def test_restart_leaves_the_others_alone() -> None:
    batch = MujocoBatch("Hopper-v5", 2)
    first = batch.reset([0, 1])
    observations, *_ = batch.step(np.zeros((2, 3)))
    restarted = batch.restart(0, 0)
    np.testing.assert_array_equal(restarted, first[0])
    following, *_ = batch.step(np.zeros((2, 3)))
    np.testing.assert_array_equal(following[0], observations[0])
    assert (following[1] != observations[1]).any()


def test_time_limit_truncates() -> None:
    batch = MujocoBatch("HalfCheetah-v5", 1)
    batch.reset([0])
    for step in range(batch.max_episode_steps):
        _, _, terminated, truncated = batch.step(np.zeros((1, batch.action_dim)))
        assert truncated[0] == (step == batch.max_episode_steps - 1)
    assert not terminated[0]
    assert not batch.alive.any()


def test_messages() -> None:
    with pytest.raises(SpecError, match=r"Unknown environment 'Hoper-v5'.*Name one that gymnasium registers"):
        MujocoBatch("Hoper-v5", 1)
    with pytest.raises(SpecError, match="action space of CartPole-v1 is Discrete"):
        MujocoBatch("CartPole-v1", 1)
    with pytest.raises(ValueError, match="count is 0"):
        MujocoBatch("Hopper-v5", 0)
    batch = MujocoBatch("Hopper-v5", 2)
    with pytest.raises(ValueError, match="1 seeds for 2 environments"):
        batch.reset([0])
    batch.reset([0, 1])
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(count, action_dim\) = \(2, 3\)"):
        batch.step(np.zeros(3))
    with pytest.raises(ValueError, match="NaN or infinity: the policy that made them has diverged"):
        batch.step(np.full((2, 3), np.nan))


def friction_of_the_right_foot(batch):
    model = batch._environments[0].unwrapped.model
    return float(model.geom("foot_geom").friction[0])


def test_real_data_of_d4rl_are_tested_in_the_robots_that_they_were_collected_with(tmp_path):
    played = {}
    for data in ("", str(tmp_path)):
        options = defaults(load_catalogue(data=data), "walker2d-medium", "dema") | {"evaluation_episodes": 1}
        world = make_world(options, "walker2d-medium", 0, {})
        played[world.batch.env_id] = friction_of_the_right_foot(world.batch)
        world.close()
    assert played == {"Walker2d-v5": pytest.approx(1.9), "Walker2d-v4": pytest.approx(0.9)}


@pytest.mark.parametrize("task", ["hopper-medium", "halfcheetah-medium", "walker2d-medium"])
@pytest.mark.parametrize("version", ["v4", "v5"])
def test_every_robot_is_there_in_each_version_that_can_be_asked_for(task, version):
    options = defaults(CATALOGUE, task, "dema") | {"evaluation_episodes": 2, "environment_version": version}
    world = make_world(options, task, 0, {})
    assert world.reset().shape == (2, options["observation_dim"])
    assert world.batch.env_id.endswith(version)
    world.close()


def test_the_version_that_is_tested_in_trains_nothing_again():
    cell = parse_slug(CATALOGUE, "hopper-medium", "dema", "environment_version=v4")
    assert trained_cell(CATALOGUE, cell) == parse_slug(CATALOGUE, "hopper-medium", "dema", "default")
