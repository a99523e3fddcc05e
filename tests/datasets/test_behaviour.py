"""Training behaviour policies: small enough to run, large enough to fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.behaviour import check_ladder, main
from bench.datasets.policies import BehaviourPolicy
from bench.datasets.ppo import PPOSettings, generalised_advantages, train
from bench.datasets.ppo_rollout import Rollout, RunningMoments
from bench.spec.errors import SpecError

NAMES, STEPS = ["hopper-low", "hopper-lower"], [2048, 4096]


def test_a_ladder_is_written_and_repeatable(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        main(NAMES, STEPS, 0, tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert files == ["hopper-low.json", "hopper-low.npz", "hopper-lower.json", "hopper-lower.npz"]
    for name in files:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    policies = [BehaviourPolicy.load(name, tmp_path / "first") for name in NAMES]
    assert [policy.record["environment_steps"] for policy in policies] == STEPS
    assert all(weights.dtype == np.float16 for weights in policies[0].weights)
    command = "python -m bench.behaviour hopper-low hopper-lower --steps=2048 --steps=4096 --seed=0"
    assert policies[0].record["command"] == command


def test_a_snapshot_does_not_depend_on_what_follows() -> None:
    settings = PPOSettings(rollout_steps=32, epochs=1)
    alone = [policy for _, policy in train("Hopper-v5", [512], 3, settings)]
    ladder = [policy for _, policy in train("Hopper-v5", [256, 500, 768], 3, settings)]
    for left, right in zip(alone[0].weights, ladder[1].weights, strict=True):
        np.testing.assert_array_equal(left, right)
    assert (ladder[2].weights[0] != ladder[1].weights[0]).any()


def test_advantages_against_the_definition() -> None:
    random = np.random.default_rng(0)
    steps, environments, discount, decay = 7, 2, 0.9, 0.8
    values, rewards = random.normal(size=(2, steps, environments)).astype(np.float32)
    ends = (random.random((steps, environments)) < 0.3).astype(np.float32)
    last = random.normal(size=environments).astype(np.float32)
    unused = np.zeros((steps, environments, 1), np.float32)
    advantages, returns = generalised_advantages(
        Rollout(unused, unused, values, values, rewards, ends, last), discount, decay
    )
    following = np.concatenate([values[1:], last[None]])
    errors = rewards + discount * (1 - ends) * following - values
    for environment in range(environments):
        for start in range(steps):
            expected, weight = 0.0, 1.0
            for step in range(start, steps):
                expected += weight * errors[step, environment]
                weight *= discount * decay * (1 - ends[step, environment])
            assert advantages[start, environment] == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(returns, advantages + values, rtol=1e-6)


def test_running_moments_equal_those_of_all_samples() -> None:
    samples = np.random.default_rng(0).normal(3, 2, (100, 4))
    moments = RunningMoments((4,))
    for part in np.split(samples, [1, 8, 50]):
        moments.update(part)
    np.testing.assert_allclose(moments.mean, samples.mean(0))
    np.testing.assert_allclose(moments.variance, samples.var(0))


@pytest.mark.parametrize(
    ("names", "steps", "message"),
    [
        (["hopper-medium"], [10, 20], "1 names .* and 2 times --steps"),
        (["hopper-a", "hopper-a"], [10, 20], "name each snapshot once"),
        (["hoper-medium"], [10], "must begin with one and the same task, one of hopper"),
        (["hopper-a", "walker2d-a"], [10, 20], "Run the command once for each task"),
        (["hopper-a", "hopper-b"], [20, 10], "must be positive and rise"),
        (["hopper-a"], [0], "must be positive and rise"),
    ],
)
def test_messages(names: list[str], steps: list[int], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check_ladder(names, steps)


def test_steps_must_rise() -> None:
    with pytest.raises(ValueError, match="positive and strictly increasing"):
        next(train("Hopper-v5", [], 0))
