"""Local MuJoCo datasets from the shipped behaviour policies."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from bench.datasets.ladders import load_ladder
from bench.datasets.policies import load_snapshots, save_snapshots, shipped_policies
from bench.datasets.trajectories import Trajectories
from bench.errors import DatasetError, UnavailableError
from bench.worlds.mujoco.data import collect, episode_returns


@pytest.fixture(scope="module")
def small() -> Trajectories:
    return collect("hopper-medium", 2000, 0, stochastic=True)


def test_exact_count_and_marks(small: Trajectories) -> None:
    assert small.transitions == 2000
    ends = small.terminations + small.truncations
    np.testing.assert_array_equal(np.flatnonzero(ends), small.starts[1:] - 1)
    assert small.truncations[-1] == 1.0, "the last episode is cut"
    assert np.abs(small.actions).max() <= 1.0, "actions are stored as executed"
    assert (small.lengths <= 1000).all()


def test_same_arguments_same_bytes(small: Trajectories) -> None:
    assert collect("hopper-medium", 2000, 0, stochastic=True).digest() == small.digest()
    assert collect("hopper-medium", 2000, 1, stochastic=True).digest() != small.digest()
    assert collect("hopper-medium", 2000, 0, stochastic=False).digest() != small.digest()


def test_a_longer_collection_begins_with_the_shorter(small: Trajectories) -> None:
    longer = collect("hopper-medium", 6000, 0, stochastic=True)
    whole = small.starts[-2]
    np.testing.assert_array_equal(longer.observations[:whole], small.observations[:whole])
    np.testing.assert_array_equal(longer.rewards[:whole], small.rewards[:whole])


@pytest.mark.parametrize("mode", ["deterministic", "stochastic"])
@pytest.mark.parametrize(
    "name", [name for name in shipped_policies() if name.startswith(("hopper", "halfcheetah", "walker2d"))]
)
def test_recorded_return_is_reproduced(name: str, mode: str) -> None:
    policy = load_snapshots(name)[-1]
    recorded, evaluation = policy.record[mode], policy.record["evaluation"]
    returns = episode_returns(policy, evaluation["episodes"], evaluation["seed"], mode == "stochastic")
    # another processor may round otherwise, and a hopper amplifies it: means then agree within their spread
    tolerance = 4 * recorded["return_std"] / np.sqrt(evaluation["episodes"])
    assert abs(returns.mean() - recorded["return_mean"]) <= tolerance


TRANSITIONS = 10_000


@pytest.fixture(scope="module")
def replay() -> Trajectories:
    return collect("hopper-medium-replay", TRANSITIONS, 0, stochastic=True)


def tail_of(trajectories: Trajectories, share: float) -> int:
    """How many of the last episodes are a tail of this share: as many as fit, and at least one."""
    count, steps = 1, int(trajectories.lengths[-1])
    while steps + trajectories.lengths[-1 - count] <= share * trajectories.transitions:
        steps += int(trajectories.lengths[-1 - count])
        count += 1
    return count


def test_a_ladder_shares_the_transitions_out_in_its_order(replay: Trajectories) -> None:
    *body, tail = load_ladder("hopper-medium-replay")
    assert replay.transitions == TRANSITIONS
    left = replay.starts[-1 - tail_of(replay, tail.share)]
    shares = np.cumsum([rung.share for rung in body])
    bounds = np.rint(shares / shares[-1] * left).astype(int)
    assert set(bounds) <= set(replay.starts), "each snapshot's share ends with an episode"
    untrained = replay.returns[: np.searchsorted(replay.starts, bounds[0])]
    medium = replay.returns[np.searchsorted(replay.starts, bounds[-2]) : -1]
    assert untrained.mean() < 0.1 * medium.mean()


def test_episodes_of_the_tail_are_whole(replay: Trajectories) -> None:
    *_, tail = load_ladder("hopper-medium-replay")
    assert tail.whole_episodes
    count = tail_of(replay, tail.share)
    for episode in [replay[-1 - index] for index in range(count)]:
        assert episode.terminations[-1] == 1.0 or len(episode) == 1000
        assert episode.rewards.sum() > 2000, "the best snapshot acts, and quietly"


def test_a_share_that_holds_several_episodes_is_filled_with_whole_ones(tmp_path, monkeypatch) -> None:
    ladder = [{"snapshot": 2, "share": 0.5}, {"snapshot": 0, "share": 0.5, "whole_episodes": True}]
    snapshots = load_snapshots("hopper-medium-replay")
    save_snapshots(snapshots, "mine", tmp_path, "none", ladder)
    monkeypatch.setattr("bench.worlds.mujoco.data.load_ladder", partial(load_ladder, folder=tmp_path))
    trajectories = collect("mine", 1000, 0, stochastic=True)
    ends = [episode.terminations[-1] for episode in trajectories]
    (cut,) = np.flatnonzero(np.array(ends) == 0)
    tail = trajectories.lengths[cut + 1 :]
    assert trajectories.transitions == 1000
    assert len(tail) > 5, "an untrained hopper falls soon"
    assert 400 < tail.sum() <= 500


def test_the_same_ladder_gives_the_same_bytes(replay: Trajectories) -> None:
    again = collect("hopper-medium-replay", TRANSITIONS, 0, stochastic=True)
    assert again.digest() == replay.digest()


def test_a_quiet_rung_needs_room_for_an_episode_and_the_others() -> None:
    with pytest.raises(
        DatasetError, match=r"hopper-medium-replay: 0 transitions are left for \d+ parts of its"
    ):
        collect("hopper-medium-replay", 100, 0, stochastic=True)


def test_messages() -> None:
    with pytest.raises(UnavailableError, match=r"no behaviour policy 'hoper'.*hopper-medium"):
        collect("hoper", 10, 0, stochastic=True)
    with pytest.raises(
        DatasetError, match=r"hopper-medium: 0 transitions are left.*Raise the option transitions"
    ):
        collect("hopper-medium", 0, 0, stochastic=True)
    with pytest.raises(ValueError, match="seed is -1; it must be at least 0"):
        collect("hopper-medium", 10, -1, stochastic=True)


def test_collecting_and_reading_need_no_torch() -> None:
    program = (
        "import sys, bench.worlds.mujoco.data, bench.datasets.minari_store; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
