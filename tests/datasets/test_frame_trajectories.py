"""Trajectories of frames: stacks of each one's own frames, and a store that gives back what it was given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from damage import WAYS

from bench.datasets import frame_store
from bench.datasets.frame_store import FrameWriter, load_frames
from bench.datasets.frame_trajectories import FrameTrajectories
from bench.errors import DatasetError

SIDE, ACTIONS, STACKED = 6, 3, 4
LENGTHS = (5, 1, 9)


def episodes(seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Episodes of frames of random pixels, the last frame of each the one after its last action."""
    random = np.random.default_rng(seed)
    return [
        {
            "frames": random.integers(1, 256, (steps + 1, SIDE, SIDE)).astype(np.uint8),
            "actions": random.integers(ACTIONS, size=steps),
            "rewards": random.normal(size=steps).astype(np.float32),
        }
        for steps in LENGTHS
    ]


def write(folder: Path, seed: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    writer = FrameWriter(folder, SIDE, STACKED, ACTIONS)
    for number, episode in enumerate(episodes(seed)):
        frames = episode["frames"][:-1]
        writer.frames(frames[:2])
        writer.frames(frames[2:])
        writer.end(episode["actions"], episode["rewards"], number != 1, episode["frames"][-1])
    writer.close()
    return folder


@pytest.fixture
def data(tmp_path: Path) -> FrameTrajectories:
    return load_frames(write(tmp_path / "data"))


@pytest.fixture(params=["in one chunk", "in many", "mapped from a file"])
def however_stored(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "in many":
        monkeypatch.setattr(frame_store, "CHUNK", 4)
    if request.param == "mapped from a file":
        monkeypatch.setattr(frame_store, "IN_MEMORY", 0)


@pytest.mark.usefixtures("however_stored")
def test_what_was_written_comes_back(tmp_path: Path) -> None:
    data = load_frames(write(tmp_path / "data"))
    played = episodes()
    assert (len(data), data.transitions, data.lengths.tolist()) == (3, sum(LENGTHS), list(LENGTHS))
    np.testing.assert_array_equal(data.frames, np.concatenate([one["frames"][:-1] for one in played]))
    np.testing.assert_array_equal(data.final_frames, [one["frames"][-1] for one in played])
    np.testing.assert_array_equal(data.actions.argmax(1), np.concatenate([one["actions"] for one in played]))
    np.testing.assert_array_equal(data.rewards, np.concatenate([one["rewards"] for one in played]))
    np.testing.assert_allclose(data.returns, [one["rewards"].sum() for one in played], rtol=1e-6)
    ends = data.starts[1:] - 1
    assert data.terminations[ends].tolist() == [1, 0, 1]
    assert data.truncations[ends].tolist() == [0, 1, 0]
    assert data.terminations.sum() + data.truncations.sum() == 3


def test_returns_to_go_add_up_to_the_end_of_the_own_trajectory(data: FrameTrajectories) -> None:
    expected = [one["rewards"][step:].sum() for one in episodes() for step in range(len(one["rewards"]))]
    np.testing.assert_allclose(data.returns_to_go(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("after", [False, True])
def test_a_stack_holds_the_last_frames_of_its_own_trajectory_and_zeros_before_its_first(
    data: FrameTrajectories, after: bool
) -> None:
    stacks = data.next_observations if after else data.observations
    assert stacks.shape == (sum(LENGTHS), STACKED, SIDE, SIDE)
    step = 0
    for episode in episodes():
        padded = np.concatenate([np.zeros((STACKED - 1, SIDE, SIDE), np.uint8), episode["frames"]])
        for place in range(len(episode["rewards"])):
            first = place + after
            np.testing.assert_array_equal(stacks[step], padded[first : first + STACKED])
            step += 1


def test_stacks_are_asked_for_by_arrays_of_any_shape(data: FrameTrajectories) -> None:
    steps = np.array([[0, 4, 5], [6, 14, 14]])
    gathered = data.observations[steps]
    assert (gathered.shape, gathered.dtype) == ((2, 3, STACKED, SIDE, SIDE), np.uint8)
    for place in np.ndindex(steps.shape):
        np.testing.assert_array_equal(gathered[place], data.observations[steps[place]])


@pytest.mark.parametrize("steps", [np.array([15]), np.array([-1]), np.array([0.5])])
def test_a_transition_that_is_not_there_is_refused(data: FrameTrajectories, steps: np.ndarray) -> None:
    with pytest.raises(IndexError, match=r"numbered 0 to 14|whole numbers"):
        data.observations[steps]


def test_pixels_have_a_mean_each_and_one_deviation(
    data: FrameTrajectories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.datasets.frame_trajectories.PASS", 4)
    mean = data.frames.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(data.pixel_mean(), mean, rtol=1e-6)
    assert data.pixel_deviation() == pytest.approx(np.sqrt(((data.frames - mean) ** 2).mean()), rel=1e-6)


def test_the_digest_is_of_the_content_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_frames(write(tmp_path / "one")).digest()
    monkeypatch.setattr(frame_store, "CHUNK", 4)
    second = load_frames(write(tmp_path / "two"))
    assert second.digest() == first
    changed = second.frames.copy()
    changed[7, 0, 0] ^= 1
    assert replace(second, frames=changed).digest() != first
    assert replace(second, stacked_frames=2).digest() != first
    assert load_frames(write(tmp_path / "other", seed=1)).digest() != first


def test_written_twice_the_bytes_are_equal(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name) for name in ("one", "two"))
    for name in ("frames.zlib", "steps.npz", "frames.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


@pytest.mark.parametrize("name", ["frames.zlib", "steps.npz", "frames.json"])
@pytest.mark.parametrize("harm", WAYS, ids=lambda way: way.__name__)
def test_a_damaged_file_is_refused_by_its_name_with_the_remedy(tmp_path: Path, name: str, harm) -> None:
    folder, other = write(tmp_path / "one"), write(tmp_path / "two", seed=1)
    harm(folder / name, other / name)
    # A whole promise of another dataset is found by the first file that it does not fit.
    named = "frames.zlib" if (name, harm.__name__) == ("frames.json", "anothers") else name
    with pytest.raises(DatasetError) as caught:
        load_frames(folder)
    for part in (f"{folder}/{named}", f"Delete the folder {folder} and run again"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"frames": np.zeros((15, 6, 5), np.uint8)}, r"frames is uint8 \(15, 6, 5\)"),
        (
            {"frames": np.zeros((14, 6, 6), np.uint8)},
            r"frames is uint8 \(14, 6, 6\), expected .*\(15, 6, 6\)",
        ),
        ({"frames": np.zeros((15, 6, 6), np.float32)}, "frames is float32"),
        ({"rewards": np.full(15, np.nan, np.float32)}, "rewards holds NaN"),
        ({"actions": np.zeros((15, 3), np.float32)}, "actions are not one-hot"),
        ({"terminations": np.full(15, 0.5, np.float32)}, "terminations holds values other than 0 and 1"),
        ({"starts": np.array([0, 5, 5, 15])}, "starts must rise strictly"),
        ({"stacked_frames": 0}, "stacked_frames is 0"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(
    data: FrameTrajectories, change: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        replace(data, **change)


def test_a_step_without_its_frame_is_refused(tmp_path: Path) -> None:
    writer = FrameWriter(tmp_path, SIDE, STACKED, ACTIONS)
    writer.frames(np.zeros((2, SIDE, SIDE), np.uint8))
    with pytest.raises(ValueError, match="it has 2 frames, 3 actions and 3 rewards"):
        writer.end(np.zeros(3), np.zeros(3), True, np.zeros((SIDE, SIDE), np.uint8))
