"""The files of behaviour policies."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.datasets.policies import SHIPPED, BehaviourPolicy, shipped_policies
from bench.spec.errors import DatasetError, UnavailableError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for suffix in (".npz", ".json"):
        shutil.copy(SHIPPED / f"hopper-medium{suffix}", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", shipped_policies())
def test_shipped_record_is_complete(name: str) -> None:
    record = BehaviourPolicy.load(name).record
    keys = ("name", "env_id", "algorithm", "environment_steps", "training_seed", "versions", "evaluation")
    assert set(record) == {*keys, "deterministic", "stochastic", "command", "sha256"}
    assert record["name"] == name
    assert record["command"].startswith("python -m bench.behaviour ")


def test_hopper_medium_is_of_medium_quality() -> None:
    record = BehaviourPolicy.load("hopper-medium").record
    expert = 3234.3  # D4RL's reference return for hopper; its medium policies reach about a third
    for mode in ("deterministic", "stochastic"):
        assert 0.28 <= record[mode]["return_mean"] / expert <= 0.46


def test_act() -> None:
    policy = BehaviourPolicy.load("hopper-medium")
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
    BehaviourPolicy.load("hopper-medium").save("hopper-medium", tmp_path)
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
        UnavailableError, match=r"no behaviour policy 'ant'.*hopper-medium.*bench.behaviour ant --steps"
    ):
        BehaviourPolicy.load("ant")


def test_damaged_weights(copy: Path) -> None:
    file = copy / "hopper-medium.npz"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(
        DatasetError, match=r"hopper-medium.npz does not hold.*sha256.*Restore.*python -m bench"
    ):
        BehaviourPolicy.load("hopper-medium", copy)


def test_damaged_record(copy: Path) -> None:
    file = copy / "hopper-medium.json"
    record = json.loads(file.read_text())
    del record["sha256"]
    file.write_text(json.dumps(record))
    with pytest.raises(DatasetError, match=r"hopper-medium\.json lacks sha256\. Restore it from git"):
        BehaviourPolicy.load("hopper-medium", copy)
    file.write_text("{")
    with pytest.raises(DatasetError, match=r"hopper-medium.json is not a JSON object.*Restore it from git"):
        BehaviourPolicy.load("hopper-medium", copy)
