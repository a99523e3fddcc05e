"""The DQN-replay data: trajectories come out as they were recorded, and faults of a file are named."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from replay_files import PADDING, SIDE, STACKED, Buffer, make_buffer, place, write_array, write_buffer

from bench.catalogue.load import load_catalogue
from bench.catalogue.real_data import content
from bench.catalogue.values import defaults
from bench.commands.fetch import main as fetch
from bench.datasets import dqn_replay
from bench.datasets.frame_trajectories import FrameTrajectories
from bench.errors import DatasetError, UnavailableError

GAME = "Breakout/1/replay_logs"
BUFFERS = (48, 49)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of Breakout in the data that a run was given, with the last two buffers."""
    for number in BUFFERS:
        write_buffer(tmp_path / "given" / GAME, number, make_buffer(number))
    return tmp_path / "given" / GAME


def make(folder: Path, target: Path, **options: Any) -> dict[str, Any]:
    given = load_catalogue(data=str(folder.parents[2]))
    asked = defaults(given, "breakout", None) | {"buffers": 2, "transitions": 60} | options
    target.mkdir(exist_ok=True)
    return dqn_replay.make(asked, "breakout", target, given.tasks["breakout"])  # type: ignore[arg-type]


def episodes(buffer: Buffer) -> list[Buffer]:
    """A buffer's episodes without the blank steps before each."""
    parts, begin = [], 0
    for end in np.flatnonzero(buffer["terminal"]) + 1:
        first = begin + (PADDING if begin else 0)
        parts.append({kind: values[first:end] for kind, values in buffer.items()})
        begin = end
    return parts


def same(data: FrameTrajectories, index: int, episode: Buffer) -> bool:
    rows = slice(data.starts[index], data.starts[index + 1])
    return all(
        np.array_equal(ours[rows], theirs)
        for ours, theirs in (
            (data.frames, episode["observation"]),
            (data.actions.argmax(axis=1), episode["action"]),
            (data.rewards, episode["reward"]),
        )
    )


def test_a_visit_reads_eleven_whole_trajectories_and_the_next_goes_on_where_it_stopped(
    folder: Path, tmp_path: Path
) -> None:
    facts = make(folder, tmp_path / "data")
    data = dqn_replay.load(tmp_path / "data")
    left = {number: episodes(make_buffer(number)) for number in BUFFERS}
    for first in range(0, len(data), 11):
        [number] = [number for number in BUFFERS if same(data, first, left[number][0])]
        for index in range(first, first + 11):
            assert same(data, index, left[number].pop(0))
    assert (facts["visits"], facts["trajectories"]) == (len(data) // 11, len(data))
    assert data.transitions >= 60 > data.transitions - data.lengths[-11:].sum()


def test_trajectories_end_where_a_game_ended_and_their_last_frame_is_repeated(
    folder: Path, tmp_path: Path
) -> None:
    make(folder, tmp_path / "data")
    data = dqn_replay.load(tmp_path / "data")
    ends = data.starts[1:] - 1
    assert data.terminations[ends].all()
    assert data.terminations.sum() == len(data)
    assert not data.truncations.any()
    np.testing.assert_array_equal(data.final_frames, data.frames[ends])
    assert data.observations.shape == (data.transitions, STACKED, SIDE, SIDE)


def test_blank_steps_before_an_episode_are_left_out_and_counted(folder: Path, tmp_path: Path) -> None:
    facts = make(folder, tmp_path / "data")
    data = dqn_replay.load(tmp_path / "data")
    assert data.frames.reshape(data.transitions, -1).any(axis=1).all()
    # The first episode of a buffer began in the one before it.
    begun = sum(
        same(data, index, episodes(make_buffer(number))[0])
        for index in range(len(data))
        for number in BUFFERS
    )
    assert facts["padding_steps"] == PADDING * (len(data) - begun)


def test_the_same_files_give_the_same_dataset(folder: Path, tmp_path: Path) -> None:
    assert make(folder, tmp_path / "one") == make(folder, tmp_path / "two")


def test_facts_are_those_of_the_trajectories(folder: Path, tmp_path: Path) -> None:
    facts = make(folder, tmp_path / "data")
    data = dqn_replay.load(tmp_path / "data")
    assert (facts["file"], facts["transitions"]) == (GAME, data.transitions)
    assert facts["mean_return"] == pytest.approx(data.returns.mean())
    assert facts["largest_return"] == data.returns.max()
    assert facts["content_sha256"] == data.digest()


def test_no_more_than_the_beginning_of_a_buffer_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dqn_replay, "READABLE", 75)
    ends = [np.flatnonzero(make_buffer(number)["terminal"]) + 1 for number in BUFFERS]
    assert all(bounds[10] <= 75 < bounds[21] for bounds in ends), "one visit each fits, a second does not"
    with pytest.raises(DatasetError, match=r"the last 2 buffers hold \d+ transitions in visits of 11 whole"):
        make(folder, tmp_path / "data", transitions=10_000)


def test_only_the_last_buffers_are_drawn(folder: Path, tmp_path: Path) -> None:
    for kind in ("observation", "action", "reward", "terminal"):
        place(folder, kind, 48).unlink()
    make(folder, tmp_path / "data", buffers=1)
    data = dqn_replay.load(tmp_path / "data")
    assert same(data, 0, episodes(make_buffer(49))[0])


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def page_of_a_server(path: Path) -> None:
    path.write_text("<html>403</html>")


def changed(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with gzip.open(path) as file:
            values = np.load(file)
        write_array(path, change(values))

    return write


def put(step: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: np.where(np.arange(len(values)) == step, values.dtype.type(value), values)


@pytest.mark.parametrize(
    ("kind", "harm", "said"),
    [
        *((kind, Path.unlink, "it is missing") for kind in ("observation", "action", "reward", "terminal")),
        *((kind, emptied, "it is no gzipped .npy file") for kind in ("observation", "action")),
        *((kind, cut_off, "it is cut off|cannot be read|no gzipped") for kind in ("observation", "reward")),
        ("terminal", page_of_a_server, "it is no gzipped .npy file"),
        ("action", changed(lambda values: values[:-1]), r"it has \d+ steps, but \$store\$_observation_ckpt"),
        ("reward", changed(lambda values: values.astype(np.float64)), "it holds float64 of shape"),
        ("terminal", changed(lambda values: values[:, None]), r"expected uint8 of 1 dimension\."),
        ("observation", changed(lambda values: values.astype(np.int16)), "int16.*expected uint8 of 3 dim"),
        (
            "observation",
            changed(lambda values: values[:, :80, :80]),
            "frames are 80 x 80, and the task has 84",
        ),
        ("action", changed(put(9, 17)), "it holds action 17, but this game has 4: another game's file"),
        ("reward", changed(put(3, np.nan)), "it holds NaN or infinity"),
        ("terminal", changed(put(3, 2)), "it holds values other than 0 and 1"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(
    folder: Path, tmp_path: Path, kind: str, harm: Callable[[Path], None], said: str
) -> None:
    for number in BUFFERS:
        harm(place(folder, kind, number))
    with pytest.raises(DatasetError, match=said) as caught:
        make(folder, tmp_path / "data")
    assert str(place(folder, kind, 4)).replace("4.gz", "") in str(caught.value)
    assert "Get this file of the DQN-replay data again" in str(caught.value)


def test_a_flipped_byte_among_frames_that_are_read_is_found(folder: Path, tmp_path: Path) -> None:
    for number in BUFFERS:
        path = place(folder, "observation", number)
        damaged = bytearray(path.read_bytes())
        damaged[100:104] = b"\xff\xff\xff\xff"
        path.write_bytes(bytes(damaged))
    with pytest.raises(DatasetError, match=r"observation_ckpt\.4[89]\.gz: it (cannot be read|is no gzipped)"):
        make(folder, tmp_path / "data")


def test_without_the_folder_the_message_says_why_and_what_has_to_lie_there(tmp_path: Path) -> None:
    given = load_catalogue(data=str(tmp_path))
    with pytest.raises(UnavailableError) as caught:
        dqn_replay.make(defaults(given, "breakout", None), "breakout", tmp_path, given.tasks["breakout"])
    for part in (
        f"{tmp_path}/{GAME} is missing",
        "answered 403",
        "$store$_{observation,action,reward,terminal}",
    ):
        assert part in str(caught.value)


def test_fetch_says_the_same_and_leaves_a_folder_that_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        fetch(["breakout"], str(tmp_path))
    assert f"dqn-replay-breakout: {tmp_path}/{GAME} is missing. It cannot be" in capsys.readouterr().err
    (tmp_path / GAME).mkdir(parents=True)
    fetch(["breakout"], str(tmp_path))
    assert capsys.readouterr().out == f"{tmp_path}/{GAME} is there\n"


def test_a_run_that_was_given_a_folder_draws_from_it_by_two_options(folder: Path) -> None:
    task = load_catalogue(data=str(folder.parents[2])).tasks["breakout"]
    assert (task.collector, task.data_source) == ("dqn-replay", "real")
    assert {"transitions", "buffers"} <= set(task.data_names)
    assert "behaviour_policy" not in task.data_names


def test_the_fingerprint_depends_on_the_content_of_the_files_and_not_on_their_place(
    folder: Path, tmp_path: Path
) -> None:
    def now(given: Path) -> dict[str, str]:
        return content(load_catalogue(data=str(given)).tasks["breakout"])

    before = now(tmp_path / "given")
    assert list(before) == [GAME]
    (tmp_path / "given").rename(tmp_path / "moved")
    assert now(tmp_path / "moved") == before
    write_buffer(tmp_path / "moved" / GAME, 49, make_buffer(49) | {"reward": make_buffer(49)["reward"] * 2})
    assert now(tmp_path / "moved") != before
