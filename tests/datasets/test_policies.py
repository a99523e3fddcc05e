"""The files of behaviour policies."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.datasets.policies import SHIPPED, load_snapshots, save_snapshots, shipped_policies
from bench.errors import DatasetError, UnavailableError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for suffix in (".npz", ".json"):
        shutil.copy(SHIPPED / f"hopper-medium{suffix}", tmp_path)
    return tmp_path


ROBOTS = ("hopper", "halfcheetah", "walker2d")
OF_ROBOTS = [name for name in shipped_policies() if name.startswith(ROBOTS)]
EXPERT = {"hopper": 3234.3, "halfcheetah": 12135.0, "walker2d": 4592.3}  # D4RL's reference returns


def returns(name: str) -> list[float]:
    """Mean returns of the snapshots, in the mode that the data are collected in."""
    return [policy.record["stochastic"]["return_mean"] for policy in load_snapshots(name)]


def test_each_robot_ships_three_qualities_and_hopper_a_ladder_of_a_second_run() -> None:
    qualities = ("medium", "medium-replay", "expert")
    three = {f"{robot}-{quality}" for robot in ROBOTS for quality in qualities}
    assert set(OF_ROBOTS) == three | {"hopper-medium-replay-second"}


@pytest.mark.parametrize("name", OF_ROBOTS)
def test_shipped_records_are_complete(name: str) -> None:
    keys = ("env_id", "algorithm", "environment_steps", "training_seed", "versions", "evaluation")
    for policy in load_snapshots(name):
        assert set(policy.record) == {*keys, "deterministic", "stochastic", "command"}
        assert policy.record["command"].startswith("python -m tools.behaviour train ")


@pytest.mark.parametrize("robot", ROBOTS)
def test_medium_is_about_a_third_of_expert(robot: str) -> None:
    assert 0.25 <= returns(f"{robot}-medium")[0] / EXPERT[robot] <= 0.45


@pytest.mark.parametrize("name", [name for name in shipped_policies() if "replay" in name])
def test_replay_rises_from_the_untrained_policy_to_about_a_third_of_expert(name: str) -> None:
    *snapshots, _ = load_snapshots(name)
    steps = [policy.record["environment_steps"] for policy in snapshots]
    assert steps[0] == 0
    assert steps == sorted(set(steps))
    earned, expert = returns(name), EXPERT[name.partition("-")[0]]
    assert earned[0] < 0.05 * expert
    assert 0.25 <= earned[-2] / expert <= 0.45


@pytest.mark.parametrize("robot", ROBOTS)
def test_the_expert_is_better_than_medium(robot: str) -> None:
    assert returns(f"{robot}-expert")[0] > 1.2 * returns(f"{robot}-medium")[0]


def test_the_hopper_expert_reaches_most_of_the_reference() -> None:
    record = load_snapshots("hopper-expert")[0].record
    assert record["deterministic"]["return_mean"] >= 0.85 * EXPERT["hopper"]


def test_act() -> None:
    policy = load_snapshots("hopper-medium")[0]
    observations = np.random.default_rng(0).normal(size=(5, 11))
    means = policy.act(observations, None)
    assert means.shape == (5, 3)
    assert means.dtype == np.float32
    np.testing.assert_array_equal(means, policy.act(observations, None))
    sampled = policy.act(observations, np.random.default_rng(1))
    np.testing.assert_array_equal(sampled, policy.act(observations, np.random.default_rng(1)))
    many = policy.act(np.repeat(observations[:1], 20_000, axis=0), np.random.default_rng(2))
    np.testing.assert_allclose(many.std(axis=0), np.exp(policy.log_std.astype(float)), rtol=0.03)
    np.testing.assert_allclose(many.mean(axis=0), means[0], atol=0.03)


def test_saving_what_was_loaded_gives_the_same_content(tmp_path: Path) -> None:
    record = json.loads((SHIPPED / "hopper-medium.json").read_text())
    save_snapshots(load_snapshots("hopper-medium"), "hopper-medium", tmp_path, record["command"])
    said, shipped_said = (
        json.loads((folder / "hopper-medium.json").read_text()) for folder in (tmp_path, SHIPPED)
    )
    differing = {key for key in shipped_said if said[key] != shipped_said[key]}
    assert differing <= {"sha256"}, "the checksum of the archive alone may differ"
    # The members of the archive, and not the archive: patch versions of Python write other zip headers.
    written, shipped = (zipfile.ZipFile(folder / "hopper-medium.npz") for folder in (tmp_path, SHIPPED))
    assert written.namelist() == shipped.namelist()
    assert all(written.read(member) == shipped.read(member) for member in shipped.namelist())


def test_unknown_name_lists_what_ships() -> None:
    with pytest.raises(
        UnavailableError, match=r"no behaviour policy 'ant'.*hopper-medium.*tools.behaviour train"
    ):
        load_snapshots("ant")


def test_damaged_weights(copy: Path) -> None:
    file = copy / "hopper-medium.npz"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(
        DatasetError, match=r"hopper-medium.npz does not hold.*sha256.*Restore.*python -m tools.behaviour"
    ):
        load_snapshots("hopper-medium", copy)


def test_damaged_record(copy: Path) -> None:
    file = copy / "hopper-medium.json"
    record = json.loads(file.read_text())
    del record["sha256"]
    file.write_text(json.dumps(record))
    with pytest.raises(DatasetError, match=r"hopper-medium\.json lacks sha256\. Restore it from git"):
        load_snapshots("hopper-medium", copy)
    file.write_text("{")
    with pytest.raises(DatasetError, match=r"hopper-medium.json is not a JSON object.*Restore it from git"):
        load_snapshots("hopper-medium", copy)
