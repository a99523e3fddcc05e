"""Training behaviour policies: small enough to run, large enough to fail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.datasets.policies import SHIPPED, load_snapshots, shipped_policies
from bench.errors import SpecError
from tools.behaviour.command import app, snapshots_in
from tools.behaviour.ppo import PPOSettings, generalised_advantages, train
from tools.behaviour.rollout import Rollout, RunningMoments

TRAIN = ["train", "hopper", "--until=4096", "--every=2048", "--setting=epochs=1", "--output"]


def run(*arguments: str | Path) -> None:
    """The command `python -m tools.behaviour`, its messages raised."""
    CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo")
    run(*TRAIN, folder)
    return folder


def test_training_writes_a_snapshot_after_every_so_many_steps(snapshots: Path) -> None:
    names = [f"hopper-{steps:08d}" for steps in (0, 2048, 4096)]
    assert sorted(path.stem for path in snapshots.glob("*.npz")) == names
    policies = [load_snapshots(name, snapshots)[0] for name in names]
    assert [policy.record["environment_steps"] for policy in policies] == [0, 2048, 4096]
    assert all(weights.dtype == np.float16 for weights in policies[0].weights)
    command = "python -m tools.behaviour train hopper --every=2048 --seed=0 --setting=epochs=1"
    assert policies[1].record["command"] == f"{command} --until=2048 --output=zoo"


def test_the_command_of_a_record_makes_the_same_bytes(snapshots: Path, tmp_path: Path) -> None:
    command = load_snapshots("hopper-00002048", snapshots)[0].record["command"]
    run(*command.replace("--output=zoo", f"--output={tmp_path}").split()[3:])
    for suffix in ("npz", "json"):
        file = f"hopper-00002048.{suffix}"
        assert (tmp_path / file).read_bytes() == (snapshots / file).read_bytes()


def test_shipping_takes_the_snapshots_that_are_named(snapshots: Path, tmp_path: Path) -> None:
    run("ship", "hopper", "--from", snapshots, "--medium=2048", "--expert=4096", "--output", tmp_path)
    steps = {
        name: [policy.record["environment_steps"] for policy in load_snapshots(name, tmp_path)]
        for name in shipped_policies(tmp_path)
    }
    assert steps == {"hopper-medium": [2048], "hopper-expert": [4096]}
    shipped, trained = (
        load_snapshots("hopper-expert", tmp_path)[0],
        load_snapshots("hopper-00004096", snapshots)[0],
    )
    np.testing.assert_array_equal(shipped.weights[0], trained.weights[0])


def test_an_expert_may_come_from_a_run_of_its_own(snapshots: Path, tmp_path: Path) -> None:
    run("ship", "hopper", "--from", snapshots, "--medium=2048", "--output", tmp_path)
    medium = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert set(medium) == {"hopper-medium.npz", "hopper-medium.json"}
    run("ship", "hopper", "--from", snapshots, "--expert=4096", "--output", tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in medium} == medium
    assert load_snapshots("hopper-expert", tmp_path)[0].record["environment_steps"] == 4096


def test_shipping_a_replay_ladder_again_gives_the_same_content(tmp_path: Path) -> None:
    # The shipped files are a folder of snapshots too: Walker2d's best is of another run than its ladder.
    run("ship", "walker2d", "--from", SHIPPED, "--replay=medium-replay", "--output", tmp_path)
    name = "walker2d-medium-replay"
    made, shipped = (json.loads((folder / f"{name}.json").read_text()) for folder in (tmp_path, SHIPPED))
    assert made["ladder"] == shipped["ladder"]
    assert made["snapshots"] == shipped["snapshots"]
    assert made["command"] == "python -m tools.behaviour ship walker2d --replay=medium-replay --from=zoo"


def test_a_ladder_is_of_one_run() -> None:
    with pytest.raises(SpecError, match="holds the untrained snapshots of 2 runs of hopper"):
        snapshots_in(SHIPPED, "hopper")


def test_a_larger_tail_is_in_the_command(tmp_path: Path) -> None:
    run(
        "ship",
        "walker2d",
        "--from",
        SHIPPED,
        "--replay=mine",
        "--tail=0.1",
        "--tail-noise=1",
        "--output",
        tmp_path,
    )
    record = json.loads((tmp_path / "walker2d-mine.json").read_text())
    assert record["ladder"][-1]["share"] == 0.1
    assert "--replay=mine --tail=0.1 --tail-noise=1.0" in record["command"]


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
    np.testing.assert_allclose(returns, advantages + values, rtol=1e-6, atol=1e-5)


def test_running_moments_equal_those_of_all_samples() -> None:
    samples = np.random.default_rng(0).normal(3, 2, (100, 4))
    moments = RunningMoments((4,))
    for part in np.split(samples, [1, 8, 50]):
        moments.update(part)
    np.testing.assert_allclose(moments.mean, samples.mean(0))
    np.testing.assert_allclose(moments.variance, samples.var(0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "hoper", "--until=10", "--output=x"], "no robot 'hoper': name one of hopper"),
        ([*TRAIN[:3], "--output=x", "--setting=epoch=1"], "--setting epoch=1: write name=value, a name of"),
        ([*TRAIN[:3], "--output=x", "--setting=epochs=few"], "--setting epochs=few: write name=value"),
        (
            ["ship", "hopper", "--from=nowhere", "--medium=1", "--expert=2"],
            r"nowhere holds no snapshot of hopper after 1, 2 steps, but after none.*train a run with",
        ),
        (
            ["ship", "hopper", "--from=nowhere"],
            "nothing to ship. Name --medium=STEPS, --expert=STEPS, --replay=NAME or several",
        ),
        (
            ["ship", "hopper", "--from=nowhere", "--replay=medium-replay"],
            "nowhere holds no snapshot of hopper: train a run with `python -m tools.behaviour train hopper`",
        ),
    ],
)
def test_messages(arguments: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        run(*arguments)


def test_steps_must_rise() -> None:
    with pytest.raises(ValueError, match="at least 0 and strictly increasing"):
        next(train("Hopper-v5", [], 0))
