"""Properties of the trajectory store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.datasets.trajectories import Trajectories, Trajectory

quietly = settings(deadline=None, derandomize=True)
VALUES = st.floats(-1e4, 1e4, width=32)


@st.composite
def episode_lists(draw: st.DrawFn) -> list[Trajectory]:
    """One to four episodes of one to six steps, with any finite values."""
    dim, action_dim = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    episodes = []
    for steps in draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)):
        observations = draw(arrays(np.float32, (steps + 1, dim), elements=VALUES))
        actions = draw(arrays(np.float32, (steps, action_dim), elements=VALUES))
        rewards = draw(arrays(np.float32, steps, elements=VALUES))
        episodes.append(Trajectory.whole(observations, actions, rewards, draw(st.booleans())))
    return episodes


def equal(left: Trajectory, right: Trajectory) -> bool:
    return all(np.array_equal(vars(left)[name], vars(right)[name]) for name in vars(left))


@quietly
@given(episode_lists())
def test_episodes_come_back(episodes: list[Trajectory]) -> None:
    store = Trajectories.from_episodes(episodes)
    assert len(store) == len(episodes)
    assert store.lengths.tolist() == [len(episode) for episode in episodes]
    assert store.transitions == store.lengths.sum()
    assert all(equal(left, right) for left, right in zip(store, episodes, strict=True))
    assert equal(store[-1], episodes[-1])
    with pytest.raises(IndexError):
        store[len(episodes)]


@quietly
@given(episode_lists())
def test_returns_to_go(episodes: list[Trajectory]) -> None:
    store = Trajectories.from_episodes(episodes)
    to_go = store.returns_to_go()
    assert to_go.dtype == np.float32
    assert to_go.shape == store.rewards.shape
    np.testing.assert_allclose(to_go[store.starts[:-1]], store.returns, rtol=1e-6, atol=1e-2)
    last = store.starts[1:] - 1
    np.testing.assert_array_equal(to_go[last], store.rewards[last])
    for start, end in zip(store.starts[:-1], last, strict=True):
        steps = to_go[start:end].astype(float) - to_go[start + 1 : end + 1]
        np.testing.assert_allclose(steps, store.rewards[start:end], rtol=1e-5, atol=1e-1)


@quietly
@given(episode_lists())
def test_moments_normalise(episodes: list[Trajectory]) -> None:
    store = Trajectories.from_episodes(episodes)
    assert (store.observation_std >= np.float32(1e-6)).all()
    expected = store.observations.astype(float)
    np.testing.assert_allclose(store.observation_mean, expected.mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(store.observation_std, expected.std(0) + 1e-6, rtol=1e-5, atol=1e-7)


@quietly
@given(episode_lists(), st.data())
def test_digest_tells_content(episodes: list[Trajectory], data: st.DataObject) -> None:
    store = Trajectories.from_episodes(episodes)
    assert (
        store.digest() == Trajectories.from_episodes([store[index] for index in range(len(store))]).digest()
    )
    rewards = store.rewards.copy()
    rewards[data.draw(st.integers(0, len(rewards) - 1))] += 1.0
    if (rewards != store.rewards).any():
        assert replace(store, rewards=rewards).digest() != store.digest()


def test_digest_tells_where_episodes_end() -> None:
    episode = Trajectory.whole(np.zeros((3, 1)), np.zeros((2, 1)), np.zeros(2), terminated=False)
    store = Trajectories.from_episodes([episode, episode])
    assert replace(store, starts=np.array([0, 1, 4])).digest() != store.digest()


@quietly
@given(episode_lists(), st.integers(1, 8))
def test_cut_marks_truncation(episodes: list[Trajectory], steps: int) -> None:
    episode = episodes[0]
    cut = episode.cut(steps)
    assert len(cut) == min(steps, len(episode))
    if steps < len(episode):
        assert (cut.terminations.sum(), cut.truncations.tolist()) == (0, [0.0] * (steps - 1) + [1.0])
        np.testing.assert_array_equal(cut.final_observation, episode.observations[steps])
    else:
        assert equal(cut, episode)


def make_store() -> Trajectories:
    episode = Trajectory.whole(np.ones((4, 2)), np.ones((3, 1)), np.ones(3), terminated=True)
    return Trajectories.from_episodes([episode, episode])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": np.ones(5, np.float32)}, r"observations is float32 \(6, 2\), expected float32 \(5, 2\)"),
        ({"actions": np.ones((6, 1))}, r"actions is float64 \(6, 1\), expected float32"),
        ({"actions": np.ones(6, np.float32)}, r"actions is float32 \(6,\)"),
        ({"final_observations": np.ones((2, 3), np.float32)}, "final_observations is"),
        ({"starts": np.array([0, 3, 3, 6])}, "starts must rise strictly from 0 to the 6 transitions"),
        ({"starts": np.array([0, 3, 6], np.int32)}, "starts is int32, expected int64"),
        ({"rewards": np.full(6, np.nan, np.float32)}, "rewards holds NaN or infinity"),
        ({"truncations": np.full(6, 0.5, np.float32)}, "truncations holds values other than 0 and 1"),
    ],
)
def test_messages(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(make_store(), **change)


def test_no_episodes() -> None:
    with pytest.raises(ValueError, match="no episodes"):
        Trajectories.from_episodes([])
