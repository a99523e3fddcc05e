"""Datasets of Atari games: episodes of policies over the console's memory, with the frames they never saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.datasets.frame_store import FrameWriter, load_frames
from bench.datasets.frame_trajectories import FrameTrajectories
from bench.datasets.ram_policies import RamRung
from bench.errors import DatasetError
from bench.worlds.atari import data
from bench.worlds.atari.game import make_games

ACTIONS = 4


@dataclass
class Paddle:
    """Breakout's paddle follows the ball by two bytes of the memory, and serves; some actions are drawn."""

    drawn: float = 0.2
    record: dict[str, Any] = field(default_factory=dict)

    BALL, PADDLE = 99, 72

    def act(self, ram_now: np.ndarray, ram_before: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        left = ram_now[:, self.BALL].astype(int) < ram_now[:, self.PADDLE] + 8
        follow = np.where(generator.random(len(ram_now)) < 0.2, 1, np.where(left, 3, 2))
        drawn = generator.integers(ACTIONS, size=len(ram_now))
        return np.where(generator.random(len(ram_now)) < self.drawn, drawn, follow)


LADDER = [RamRung(Paddle(1.0), 0.25), RamRung(Paddle(), 0.75)]


@pytest.fixture(autouse=True)
def few_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "ENVIRONMENTS", 4)


def options(**changes: Any) -> Any:
    return defaults(CATALOGUE, "breakout", None) | {"transitions": 500, "max_episode_steps": 150} | changes


def collect(folder: Path, ladder: list[RamRung] = LADDER, seed: int = 0, **changes: Any) -> FrameTrajectories:
    folder.mkdir()
    asked = options(**changes)
    writer = FrameWriter(folder, asked["frame_side"], asked["stacked_frames"], asked["action_dim"])
    data.collect(ladder, writer, asked, seed)
    writer.close()
    return load_frames(folder)


@pytest.fixture
def played(tmp_path: Path) -> FrameTrajectories:
    return collect(tmp_path / "played")


def test_each_rung_has_its_share_to_a_transition(played: FrameTrajectories) -> None:
    assert played.transitions == 500
    assert 125 in played.starts, "the share of the first rung is reached between two episodes"
    assert played.lengths.max() <= 150


def test_the_frames_are_those_of_the_actions_replayed(tmp_path: Path) -> None:
    played = collect(tmp_path / "replayed", LADDER[1:], noop_steps=0)
    [game] = make_games(options(), 1)
    for number in range(2):
        rows = range(played.starts[number], played.starts[number + 1])
        frame = game.begin(0)
        for row in rows:
            np.testing.assert_array_equal(played.frames[row], frame)
            reward, frame = game.act(int(played.actions[row].argmax()))
            assert reward == played.rewards[row]
        np.testing.assert_array_equal(played.final_frames[number], frame)
        assert played.terminations[rows[-1]] == game.over


def test_an_episode_ends_with_the_game_or_is_cut(tmp_path: Path) -> None:
    played = collect(tmp_path / "ended", [RamRung(Paddle(1.0), 1.0)], max_episode_steps=300)
    ends = played.starts[1:] - 1
    assert played.terminations[ends].any(), "a game of random actions is over before the cap"
    assert ((played.terminations + played.truncations)[ends] == 1).all()
    assert played.terminations.sum() + played.truncations.sum() == len(played)
    cut = played.lengths[played.truncations[ends] == 1]
    assert (cut[:-1] == 300).all(), "the last is cut where the share is reached, the others at the cap"


def test_the_same_seed_gives_the_same_data_and_another_other(
    played: FrameTrajectories, tmp_path: Path
) -> None:
    assert collect(tmp_path / "again").digest() == played.digest()
    assert collect(tmp_path / "other", seed=1).digest() != played.digest()


def test_a_longer_collection_begins_with_the_shorter(tmp_path: Path) -> None:
    shorter = collect(tmp_path / "shorter", LADDER[1:], transitions=200)
    longer = collect(tmp_path / "longer", LADDER[1:], transitions=700)
    np.testing.assert_array_equal(longer.frames[:200], shorter.frames)
    np.testing.assert_array_equal(longer.actions[:200], shorter.actions)
    whole = len(shorter) - 1
    np.testing.assert_array_equal(longer.starts[:whole], shorter.starts[:whole])


def test_the_policy_sees_the_memory_now_and_one_decision_ago(tmp_path: Path) -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    class Watching(Paddle):
        def act(
            self, ram_now: np.ndarray, ram_before: np.ndarray, generator: np.random.Generator
        ) -> np.ndarray:
            seen.append((ram_now.copy(), ram_before.copy()))
            return super().act(ram_now, ram_before, generator)

    collect(tmp_path / "watched", [RamRung(Watching(), 1.0)], transitions=40, max_episode_steps=10)
    first, following = seen[:10], seen[1:10]
    assert first[0][0].shape == (4, 128)
    np.testing.assert_array_equal(*first[0])
    for (now, _), (_, before) in zip(first, following, strict=False):
        np.testing.assert_array_equal(now, before)
    assert any((now != before).any() for now, before in first[1:])


def test_a_policy_that_plays_earns_more_than_a_random_one(tmp_path: Path) -> None:
    means = [
        collect(tmp_path / str(drawn), [RamRung(Paddle(drawn), 1.0)], transitions=800, max_episode_steps=200)
        .returns.mean()
        for drawn in (0.0, 1.0)
    ]  # fmt: skip
    assert means[0] > means[1] + 1


def test_facts_are_those_of_the_episodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "load_ram_ladder", lambda name: LADDER)
    facts = data.make(options(), "breakout", tmp_path)
    played = data.load(tmp_path)
    assert (facts["transitions"], facts["trajectories"]) == (500, len(played))
    assert facts["mean_return"] == pytest.approx(played.returns.mean())
    assert facts["standard_deviation_of_return"] == pytest.approx(played.returns.std())
    assert facts["largest_return"] == played.returns.max()
    assert facts["content_sha256"] == played.digest()
    assert played.observations.shape == (500, 4, 84, 84)


def test_fewer_transitions_than_rungs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"breakout-ladder: 1 transitions are too few for the 2 parts"):
        collect(tmp_path / "few", transitions=1)
