"""Ladders: what a record may say of shares, and what it is refused for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.datasets.ladders import load_ladder
from bench.datasets.policies import SHIPPED, load_snapshots, shipped_policies
from bench.errors import DatasetError

ROBOTS = ("hopper", "halfcheetah", "walker2d")
NAME = "hopper-medium-replay"
GOOD = [
    {"snapshot": 0, "share": 0.75},
    {"snapshot": 1, "share": 0.25, "noise": 0.5, "whole_episodes": True},
]


@pytest.fixture
def write(tmp_path: Path):
    """Writes a ladder into a copy of a shipped record; None leaves the key out. Returns the folder."""
    for suffix in (".npz", ".json"):
        shutil.copy(SHIPPED / f"{NAME}{suffix}", tmp_path)

    def written(ladder: object) -> Path:
        file = tmp_path / f"{NAME}.json"
        record = json.loads(file.read_text())
        record.pop("ladder", None)
        file.write_text(json.dumps(record if ladder is None else record | {"ladder": ladder}))
        return tmp_path

    return written


@pytest.mark.parametrize("name", [name for name in shipped_policies() if name.startswith(ROBOTS)])
def test_the_shares_of_what_ships_add_up(name: str) -> None:
    assert sum(rung.share for rung in load_ladder(name)) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("name", [name for name in shipped_policies() if "replay" in name])
def test_what_ships_falls_below_medium_and_ends_with_a_tail_of_whole_episodes(name: str) -> None:
    *body, tail = load_ladder(name)
    assert [rung.whole_episodes for rung in (*body, tail)] == [False] * len(body) + [True]
    earned = [rung.policy.record["stochastic"]["return_mean"] for rung in body]
    assert tail.policy.record["deterministic"]["return_mean"] > 1.5 * max(earned)
    assert tail.share <= 0.1
    untrained, first, *_ = body
    assert untrained.policy.record["environment_steps"] == 0
    below = [rung.share for rung in body[1:] if abs(rung.share - body[-1].share) > 0.001]
    assert untrained.share < min(below)
    assert below == sorted(below, reverse=True)
    assert below[0] == first.share


def test_a_record_without_a_ladder_shares_out_evenly(write) -> None:
    folder = write(None)
    count = len(load_snapshots(NAME, folder))
    assert [rung.share for rung in load_ladder(NAME, folder)] == [1 / count] * count


def test_a_rung_scales_the_noise_of_its_snapshot_alone(write) -> None:
    loud, quiet = load_ladder(NAME, write(GOOD))
    assert (loud.policy.noise, quiet.policy.noise) == (1.0, 0.5)
    assert (loud.whole_episodes, quiet.whole_episodes) == (False, True)
    snapshot = load_snapshots(NAME)[1]
    observations = np.random.default_rng(0).normal(size=(5, 11))
    means = snapshot.act(observations, None)
    np.testing.assert_array_equal(quiet.policy.act(observations, None), means)
    full = snapshot.act(observations, np.random.default_rng(1)) - means
    half = quiet.policy.act(observations, np.random.default_rng(1)) - means
    np.testing.assert_allclose(half, full / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("ladder", "said"),
    [
        ([GOOD[0], {"snapshot": 1, "share": 0.2}], "key ladder: its shares add up to 0.95 and not to 1"),
        ([{"snapshot": 0, "share": 0.0}, GOOD[1]], r"key ladder\.0\.share: Input should be greater than 0"),
        ([GOOD[0], {"snapshot": 99, "share": 0.25}], r"key ladder\.1\.snapshot: there is no snapshot 99,"),
        ([GOOD[0], {"snapshot": -1, "share": 0.25}], r"key ladder\.1\.snapshot: Input should be"),
        ([GOOD[0], GOOD[1] | {"noise": 0}], r"key ladder\.1\.noise: Input should be greater than 0"),
        ([GOOD[0], GOOD[1] | {"nose": 1}], r"key ladder\.1\.nose: Extra inputs are not permitted"),
        ([{"snapshot": 0}], r"key ladder\.0\.share: Field required"),
        ([GOOD[1] | {"share": 1.0}], "key ladder: it needs a rung without whole_episodes, which"),
        ([], "key ladder: it needs a rung without whole_episodes"),
        ({"snapshot": 0, "share": 1.0}, "key ladder: Input should be a valid list"),
    ],
)  # fmt: skip
def test_a_malformed_ladder_is_refused_with_file_and_key(write, ladder: object, said: str) -> None:
    with pytest.raises(DatasetError, match=rf"{NAME}\.json: {said}.*Correct the file, or restore"):
        load_ladder(NAME, write(ladder))
