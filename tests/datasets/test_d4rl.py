"""D4RL's files: episodes come out as they were recorded, and what is wrong with a file is named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_files import LENGTHS, Columns, make_columns, write_d4rl

from bench.catalogue.sources import DatasetRow
from bench.datasets.d4rl import read_d4rl, split
from bench.datasets.trajectories import Trajectories
from bench.errors import DatasetError

SOURCE = "http://host.example/gym_mujoco_v2/hopper_medium-v2.hdf5"
ROW = DatasetRow(id="d4rl-hopper-medium-v2", source=SOURCE, mirrors="https://mirror.example/hopper.hdf5")


def read(path: Path, **known: object) -> Trajectories:
    return read_d4rl(path, ROW.model_copy(update=known), 11, 3)[0]


@pytest.fixture
def columns() -> Columns:
    return make_columns()


def test_episodes_end_at_terminals_and_timeouts_and_the_rest_is_a_truncated_one(
    tmp_path: Path, columns: Columns
) -> None:
    store, facts = read_d4rl(write_d4rl(tmp_path / "file.hdf5", columns), ROW, 11, 3)
    assert store.lengths.tolist() == [*LENGTHS, 3]
    first, second, third, rest = store
    for episode, terminated in ((first, 1), (second, 0), (third, 1), (rest, 0)):
        assert (episode.terminations[-1], episode.truncations[-1]) == (terminated, 1 - terminated)
        assert not episode.terminations[:-1].any()
        assert not episode.truncations[:-1].any()
    np.testing.assert_array_equal(third.observations, columns["observations"][6:13])
    np.testing.assert_array_equal(third.actions, columns["actions"][6:13])
    np.testing.assert_array_equal(third.rewards, columns["rewards"][6:13])
    np.testing.assert_array_equal(store.final_observations, columns["next_observations"][[4, 5, 12, 15]])
    assert facts["unfinished_steps"] == 3
    assert facts["final_observations"] == "recorded"
    assert facts["file_sha256"] == hashlib.sha256((tmp_path / "file.hdf5").read_bytes()).hexdigest()


def test_a_file_that_ends_with_an_episode_has_none_unfinished(tmp_path: Path) -> None:
    store, facts = read_d4rl(write_d4rl(tmp_path / "file.hdf5", make_columns(unfinished=0)), ROW, 11, 3)
    assert store.lengths.tolist() == list(LENGTHS)
    assert facts["unfinished_steps"] == 0


def test_without_next_observations_the_last_one_is_repeated_and_the_facts_say_so(
    tmp_path: Path, columns: Columns
) -> None:
    del columns["next_observations"]
    store, facts = read_d4rl(write_d4rl(tmp_path / "file.hdf5", columns), ROW, 11, 3)
    np.testing.assert_array_equal(store.final_observations, columns["observations"][[4, 5, 12, 15]])
    assert facts["final_observations"] == "the last observation again"


@given(
    flags=st.lists(st.sampled_from([(0, 0), (0, 0), (1, 0), (0, 1), (1, 1)]), min_size=1, max_size=30),
    recorded=st.booleans(),
)
def test_splitting_loses_nothing(flags: list[tuple[int, int]], recorded: bool) -> None:
    steps = len(flags)
    columns = make_columns((), steps, dim=2, action_dim=1)
    columns["terminals"], columns["timeouts"] = np.array(flags, np.float32).T
    if not recorded:
        del columns["next_observations"]
    store, unfinished = split(columns)
    joined = Trajectories.from_episodes(list(store))
    assert joined.digest() == store.digest()
    for ours, theirs in (("observations",) * 2, ("actions",) * 2, ("rewards",) * 2):
        np.testing.assert_array_equal(getattr(joined, ours), columns[theirs])
    np.testing.assert_array_equal(joined.terminations, columns["terminals"])
    np.testing.assert_array_equal(joined.truncations[: steps - 1], columns["timeouts"][: steps - 1])
    ends = {step for step, flag in enumerate(flags) if any(flag)}
    assert set(store.starts[1:] - 1) == ends | {steps - 1}
    assert unfinished == (0 if steps - 1 in ends else steps - 1 - max(ends, default=-1))


def cut_off(path: Path, columns: Columns) -> None:
    write_d4rl(path, columns)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def page_of_a_server(path: Path, columns: Columns) -> None:
    path.write_text("<html>404</html>")


def changed(key: str, change: Callable[[np.ndarray], object]) -> Callable[[Path, Columns], None]:
    """Writes a file in which a column is another one; None leaves it out."""

    def write(path: Path, columns: Columns) -> None:
        values = change(columns.pop(key))
        write_d4rl(path, columns if values is None else columns | {key: values})

    return write


def put(step: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values = values.astype(float)
        values[step] = value
        return values

    return change


def group_for_a_column(path: Path, columns: Columns) -> None:
    del columns["rewards"]
    write_d4rl(path, columns)
    with h5py.File(path, "a") as file:
        file["rewards/all"] = np.zeros(16)


DAMAGES = {
    "cut off": (cut_off, "cannot be read as HDF5.*cut off, damaged"),
    "not HDF5": (page_of_a_server, "cannot be read as HDF5"),
    "a group": (group_for_a_column, "cannot be read as HDF5"),
    "no timeouts": (
        changed("timeouts", lambda v: None),
        "key timeouts is missing; it has rewards, observations, act",
    ),
    "no actions": (changed("actions", lambda v: None), "key actions is missing"),
    "NaN": (changed("rewards", put(4, np.nan)), "key rewards: 1 steps hold NaN or infinity.* step 4"),
    "infinity": (changed("observations", put(2, np.inf)), "key observations: 1 steps hold NaN .* step 2"),
    "beyond float32": (changed("actions", put(9, 1e300)), "key actions: 1 steps hold NaN .* step 9"),
    "short": (changed("actions", lambda v: v[:-1]), "key actions: it has 15 steps, but rewards has 16"),
    "long": (changed("timeouts", lambda v: np.append(v, 0)), "key timeouts: it has 17 steps"),
    "a matrix": (changed("rewards", lambda v: v[:, None]), r"key rewards: its shape \(16, 1\) is not"),
    "a number": (changed("rewards", lambda v: 1.0), r"key rewards: its shape \(\) is not"),
    "empty": (changed("rewards", lambda v: v[:0]), r"key rewards: its shape \(0,\) is not"),
    "text": (changed("actions", lambda v: np.full(v.shape, b"left")), "key actions: it does not hold .* num"),
    "flags": (changed("terminals", put(3, 2)), "key terminals: it holds values other than 0 and 1"),
    "next": (changed("next_observations", lambda v: v[:, :5]), r"next_observations: its shape is \(16, 5\)"),
    "width": (changed("actions", lambda v: v[:, :2]), "key actions: 2 numbers a step, but the task has 3"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_refused_with_file_key_and_remedy(
    tmp_path: Path, columns: Columns, name: str
) -> None:
    write, said = DAMAGES[name]
    path = tmp_path / "hopper_medium-v2.hdf5"
    write(path, columns)
    with pytest.raises(DatasetError, match=said) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert "et the file again" in message or "put the right one" in message


def test_a_file_of_another_robot_is_refused(tmp_path: Path) -> None:
    path = write_d4rl(tmp_path / "file.hdf5", make_columns(dim=17, action_dim=6))
    with pytest.raises(DatasetError, match="observations: 17 numbers a step, but the task has 11"):
        read(path)


def test_a_file_in_which_no_episode_ends_is_refused(tmp_path: Path) -> None:
    path = write_d4rl(tmp_path / "file.hdf5", make_columns((), 9))
    with pytest.raises(DatasetError, match="terminals and timeouts: not one of 9 steps ends an episode"):
        read(path)


def test_the_checksum_of_the_row_is_checked_first(tmp_path: Path, columns: Columns) -> None:
    path = write_d4rl(tmp_path / "file.hdf5", columns)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(read(path, sha256=digest)) == 4
    cut_off(path, columns)
    with pytest.raises(DatasetError) as caught:
        read(path, sha256=digest)
    for part in (str(path), digest, "key sha256 of d4rl-hopper-medium-v2", SOURCE, "https://mirror.example"):
        assert part in str(caught.value)


def test_counts_and_returns_of_finished_episodes_are_checked_where_known(
    tmp_path: Path, columns: Columns
) -> None:
    path = write_d4rl(tmp_path / "file.hdf5", columns)
    returns = [float(columns["rewards"][rows].sum()) for rows in (slice(5), slice(5, 6), slice(6, 13))]
    known = {
        "transitions": 13,
        "trajectories": 3,
        "lowest_return": min(returns),
        "mean_return": float(np.mean(returns)),
        "highest_return": max(returns),
    }
    assert read(path, **known).transitions == 16, "the unfinished episode is kept, and not counted"
    for key, value in known.items():
        with pytest.raises(
            DatasetError, match=f"{key.replace('_', ' ')} of its finished episodes: .* key {key}"
        ):
            read(path, **known | {key: value + 1})
