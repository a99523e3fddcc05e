"""Real data in a run's own store: as it was read, or delayed, whatever becomes of the files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest
from real_files import make_columns, play_hopper, write_d4rl

from bench.catalogue.load import load_catalogue
from bench.catalogue.sources import file_sha256
from bench.catalogue.values import defaults
from bench.datasets import d4rl, minari_sets
from bench.datasets.trajectories import Trajectories
from bench.errors import DatasetError

TASK = "halfcheetah-medium-expert"
FILE = "halfcheetah_medium_expert-v2.hdf5"


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """The folder of a run with D4RL's files, empty."""
    (tmp_path / "given").mkdir()
    return tmp_path / "given"


def stored(tmp_path: Path, task: str) -> tuple[Trajectories, dict[str, object]]:
    folder = tmp_path / task
    folder.mkdir()
    given = load_catalogue(data=str(tmp_path / "given"))
    facts = d4rl.make(defaults(given, task, None), task, folder, given.tasks[task])
    return d4rl.load(folder), facts


def test_the_store_holds_what_the_file_holds(given: Path, tmp_path: Path) -> None:
    columns = make_columns(dim=17, action_dim=6)
    path = write_d4rl(given / FILE, columns)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    store, facts = stored(tmp_path, TASK)
    for ours, theirs in (("observations",) * 2, ("actions",) * 2, ("terminations", "terminals")):
        np.testing.assert_array_equal(getattr(store, ours), columns[theirs])
    returns = [columns["rewards"][a:b].sum() for a, b in ((0, 5), (5, 6), (6, 13), (13, 16))]
    assert (facts["file"], facts["file_sha256"]) == (FILE, digest)
    assert (facts["transitions"], facts["trajectories"], facts["unfinished_steps"]) == (16, 4, 3)
    assert facts["return_quantile_0"] == pytest.approx(min(returns))
    assert facts["return_quantile_0.5"] == pytest.approx(np.median(returns))
    assert facts["return_quantile_1"] == pytest.approx(max(returns))


def test_a_delayed_task_has_the_same_file_with_all_reward_at_the_end(given: Path, tmp_path: Path) -> None:
    write_d4rl(given / FILE, make_columns(dim=17, action_dim=6))
    dense, dense_facts = stored(tmp_path, TASK)
    delayed, delayed_facts = stored(tmp_path, f"{TASK}-delayed")
    np.testing.assert_array_equal(delayed.observations, dense.observations)
    np.testing.assert_allclose(delayed.returns, dense.returns, rtol=1e-6)
    last = delayed.starts[1:] - 1
    assert set(np.flatnonzero(delayed.rewards)) <= set(last)
    assert delayed_facts["mean_return"] == dense_facts["mean_return"]
    assert delayed_facts["content_sha256"] != dense_facts["content_sha256"]


def test_a_file_that_changes_while_a_process_runs_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = file_sha256(path)
    path.write_bytes(b"other")
    assert file_sha256(path) != first


@pytest.fixture
def minari_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Minari's store with two sets of three short episodes of Hopper, written by Minari itself."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    for name, seed in (("medium", 0), ("expert", 3)):
        minari.create_dataset_from_buffers(
            f"mujoco/hopper/{name}-v0", [play_hopper(9, seed + k) for k in range(3)], env="Hopper-v5"
        )
    return tmp_path / "minari"


def make_minari(task: str, folder: Path) -> dict[str, Any]:
    given = load_catalogue(data="minari")
    return minari_sets.make(defaults(given, task, None), task, folder, given.tasks[task])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_minaris_medium_and_expert_sets_are_joined_for_medium_expert(
    minari_store: Path, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "both").mkdir()
    one = make_minari("hopper-medium", tmp_path / "one")
    both = make_minari("hopper-medium-expert", tmp_path / "both")
    medium, joined = minari_sets.load(tmp_path / "one"), minari_sets.load(tmp_path / "both")
    assert (one["trajectories"], both["trajectories"]) == (3, 6)
    assert both["file"] == "mujoco/hopper/medium-v0, mujoco/hopper/expert-v0"
    np.testing.assert_array_equal(joined.observations[: medium.transitions], medium.observations)
    played = play_hopper(9, 4)
    np.testing.assert_array_equal(joined[4].observations, np.float32(played.observations[:-1]))
    np.testing.assert_array_equal(joined[4].final_observation, np.float32(played.observations[-1]))
    np.testing.assert_array_equal(joined[4].rewards, np.float32(played.rewards))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_minaris_set_of_another_robot_is_refused(minari_store: Path, tmp_path: Path) -> None:
    (minari_store / "mujoco" / "hopper").rename(minari_store / "mujoco" / "walker2d")
    with pytest.raises(DatasetError, match=r"walker2d/medium-v0.*observations: 11 numbers a step, .* has 17"):
        make_minari("walker2d-medium", tmp_path)
