"""Local MuJoCo datasets from the shipped behaviour policies."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from bench.datasets.policies import load_ladder, shipped_policies
from bench.datasets.trajectories import Trajectories
from bench.errors import UnavailableError
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
@pytest.mark.parametrize("name", shipped_policies())
def test_recorded_return_is_reproduced(name: str, mode: str) -> None:
    policy = load_ladder(name)[-1]
    recorded, evaluation = policy.record[mode], policy.record["evaluation"]
    returns = episode_returns(policy, evaluation["episodes"], evaluation["seed"], mode == "stochastic")
    # another processor may round otherwise, and a hopper amplifies it: means then agree within their spread
    tolerance = 4 * recorded["return_std"] / np.sqrt(evaluation["episodes"])
    assert abs(returns.mean() - recorded["return_mean"]) <= tolerance


def test_a_ladder_shares_the_transitions_out_from_early_to_late() -> None:
    trajectories = collect("hopper-medium-replay", 4000, 0, stochastic=True)
    snapshots = len(load_ladder("hopper-medium-replay"))
    bounds = [4000 * index // snapshots for index in range(snapshots + 1)]
    assert trajectories.transitions == 4000
    assert set(bounds) <= set(trajectories.starts), "each snapshot's share ends with an episode"
    thirds = np.array_split(trajectories.returns, 3)
    assert thirds[0].mean() < thirds[2].mean()


def test_the_same_ladder_gives_the_same_bytes() -> None:
    digests = {collect("hopper-medium-replay", 1000, 0, stochastic=True).digest() for _ in range(2)}
    assert len(digests) == 1


def test_messages() -> None:
    with pytest.raises(UnavailableError, match=r"no behaviour policy 'hoper'.*hopper-medium"):
        collect("hoper", 10, 0, stochastic=True)
    with pytest.raises(ValueError, match="transitions is 0 and seed is 0; they must be at least 1 and 0"):
        collect("hopper-medium", 0, 0, stochastic=True)


def test_collecting_and_reading_need_no_torch() -> None:
    program = (
        "import sys, bench.worlds.mujoco.data, bench.datasets.minari_store; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
