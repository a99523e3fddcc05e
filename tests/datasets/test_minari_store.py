"""Datasets on disk: the way there and back, and what a damaged one says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import gymnasium
import minari
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minari.data_collector import EpisodeBuffer

from bench.datasets.minari_store import load_minari, save_minari
from bench.datasets.trajectories import Trajectories, Trajectory
from bench.errors import DatasetError

DATASET = "local/hopper-test-v0"


def make_store(seed: int = 0, lengths: tuple[int, ...] = (40, 7, 25)) -> Trajectories:
    random = np.random.default_rng(seed)
    return Trajectories.from_episodes(
        [
            Trajectory.whole(
                random.normal(size=(steps + 1, 11)),
                random.uniform(-1, 1, (steps, 3)),
                random.normal(size=steps),
                terminated=bool(random.integers(2)),
            )
            for steps in lengths
        ]
    )


def write(folder: Path, store: Trajectories | None = None) -> Path:
    return save_minari(
        store or make_store(), folder, DATASET, "Hopper-v5", "for a test", requirements=["mujoco"]
    )


@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 99), lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_round_trip_keeps_the_digest(
    tmp_path_factory: pytest.TempPathFactory, seed: int, lengths: list[int]
) -> None:
    folder, store = tmp_path_factory.mktemp("minari"), make_store(seed, tuple(lengths))
    write(folder, store)
    assert load_minari(folder, DATASET).digest() == store.digest()


def test_it_is_a_minari_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store()
    write(tmp_path, store)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    dataset = minari.load_dataset(DATASET)
    assert (dataset.total_episodes, dataset.total_steps) == (3, 72)
    assert dataset.spec.env_spec.id == "Hopper-v5"
    episode = dataset[1]
    assert episode.observations.shape == (8, 11)
    np.testing.assert_array_equal(episode.actions, store[1].actions)
    assert [path.name for path in tmp_path.iterdir()] == ["local"], "nothing unfinished is left"


def test_environment_variable_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINARI_DATASETS_PATH", raising=False)
    write(tmp_path / "first")
    assert "MINARI_DATASETS_PATH" not in os.environ
    monkeypatch.setenv("MINARI_DATASETS_PATH", "elsewhere")
    write(tmp_path / "second")
    assert os.environ["MINARI_DATASETS_PATH"] == "elsewhere"


def write_foreign(
    folder: Path, monkeypatch: pytest.MonkeyPatch, episode: EpisodeBuffer, **spaces: object
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder))
    with pytest.warns(UserWarning, match="author"):
        minari.create_dataset_from_buffers("foreign/thing-v0", [episode], **spaces)


def test_reads_a_dataset_made_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    observations = np.arange(8.0).reshape(4, 2)
    episode = EpisodeBuffer(
        observations=observations,
        actions=np.ones((3, 1)),
        rewards=[1.0, 2.0, 3.0],
        terminations=[False, False, True],
        truncations=[False] * 3,
    )
    box = gymnasium.spaces.Box
    spaces = {"observation_space": box(-9, 9, (2,), np.float64), "action_space": box(-1, 1, (1,), np.float64)}
    write_foreign(tmp_path, monkeypatch, episode, **spaces)
    store = load_minari(tmp_path, "foreign/thing-v0")
    np.testing.assert_array_equal(store.observations, observations[:-1])
    np.testing.assert_array_equal(store.final_observations, observations[-1:])
    assert (store.returns.tolist(), store.terminations.tolist()) == ([6.0], [0.0, 0.0, 1.0])


def test_discrete_actions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    episode = EpisodeBuffer(
        observations=np.zeros((2, 4), np.float32),
        actions=np.array([1]),
        rewards=[1.0],
        terminations=[True],
        truncations=[False],
    )
    write_foreign(tmp_path, monkeypatch, episode, env="CartPole-v1")
    with pytest.raises(DatasetError, match="actions of episode 0 are not flat continuous vectors"):
        load_minari(tmp_path, "foreign/thing-v0")


def damage_truncate(data: Path) -> None:
    file = data / "main_data.hdf5"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def damage_empty(data: Path) -> None:
    (data / "main_data.hdf5").write_bytes(b"")


def damage_flip(data: Path) -> None:
    """Change one reward where it lies in the file: HDF5 itself does not notice."""
    file = data / "main_data.hdf5"
    content, reward = file.read_bytes(), make_store().rewards[45:47].tobytes()
    assert content.count(reward) == 1
    file.write_bytes(content.replace(reward, np.array([7, 8], np.float32).tobytes()))


def damage_metadata(data: Path) -> None:
    (data / "metadata.json").write_text("{")


def damage_missing_key(data: Path) -> None:
    metadata = json.loads((data / "metadata.json").read_text())
    del metadata["total_steps"]
    (data / "metadata.json").write_text(json.dumps(metadata))


def damage_missing_file(data: Path) -> None:
    (data / "main_data.hdf5").unlink()


@pytest.mark.parametrize(
    "damage",
    [damage_truncate, damage_empty, damage_flip, damage_metadata, damage_missing_key, damage_missing_file],
)
def test_damage_is_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    target = write(tmp_path)
    damage(target / "data")
    with pytest.raises(DatasetError) as caught:
        load_minari(tmp_path, DATASET)
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(target / "data"), "main_data.hdf5", "expected", f"Delete the folder {target}"):
        assert part in message


def test_absent_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no Minari dataset 'local/hopper-test-v0' in .*Make or download"):
        load_minari(tmp_path, DATASET)


def test_a_dataset_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(DatasetError, match=r"already there\. Delete that folder"):
        write(tmp_path)
