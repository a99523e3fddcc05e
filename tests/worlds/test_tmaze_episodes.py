"""The T-maze's data: its two optimal episodes, written and read back exactly."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.datasets.trajectories import Trajectories
from bench.worlds.tmaze.data import load, make
from bench.worlds.tmaze.world import TMaze

TASKS = [("tmaze-passive-10", 0), ("tmaze-active-30", 1), ("tmaze-passive-1000", 0)]


@pytest.mark.parametrize(("task", "oracle"), TASKS)
def test_both_optimal_episodes_are_there_in_turn(tmp_path, task, oracle):
    options = defaults(CATALOGUE, task, None) | {"trajectories": 5}
    facts = make(options, task, tmp_path)
    data, steps = load(tmp_path), options["corridor_length"] + 2 * oracle + 1
    assert data.lengths.tolist() == [steps] * 5
    assert data.returns.tolist() == [1.0] * 5
    assert {episode.actions[-1].argmax() for episode in data} == {1, 3}
    np.testing.assert_array_equal(data[0].actions, data[2].actions)
    np.testing.assert_array_equal(data[1].observations, data[3].observations)
    assert (data[0].observations[oracle, 1], data[1].observations[oracle, 1]) == (1, -1), "told at the oracle"
    assert (facts["transitions"], facts["trajectories"], facts["mean_return"]) == (5 * steps, 5, 1.0)
    assert facts["content_sha256"] == data.digest()


@pytest.mark.parametrize(("task", "oracle"), TASKS)
def test_an_episode_is_what_the_maze_answers_to_its_actions(tmp_path, task, oracle):
    options = defaults(CATALOGUE, task, None)
    make(options, task, tmp_path)
    data = load(tmp_path)
    maze = TMaze(options["corridor_length"], oracle, np.array([1, -1]))
    seen = maze.reset()
    for t in range(data.lengths[0]):
        np.testing.assert_array_equal(data.observations[data.starts[:-1] + t], seen)
        actions = data.actions[data.starts[:-1] + t]
        assert actions.sum(axis=1).tolist() == [1, 1], "one-hot"
        seen, rewards, over = maze.step(actions.argmax(axis=1))
        np.testing.assert_array_equal(data.rewards[data.starts[:-1] + t], rewards)
        np.testing.assert_array_equal(data.terminations[data.starts[:-1] + t], over)
    np.testing.assert_array_equal(data.final_observations, seen)


def test_the_best_way_costs_no_penalty(tmp_path):
    options = defaults(CATALOGUE, "tmaze-active-10", None) | {"penalty": -0.1}
    assert make(options, "tmaze-active-10", tmp_path)["mean_return"] == 1.0


def test_what_is_read_is_what_was_written_and_the_same_every_time(tmp_path):
    written, digests = [], []
    for name in ("first", "again"):
        (tmp_path / name).mkdir()
        digests.append(
            make(defaults(CATALOGUE, "tmaze-active-10", None), "tmaze-active-10", tmp_path / name)[
                "content_sha256"
            ]
        )
        written.append((tmp_path / name / "trajectories.npz").read_bytes())
    assert written[0] == written[1]
    assert digests[0] == digests[1] == load(tmp_path / "again").digest()
    for field in fields(Trajectories):
        first, again = (getattr(load(tmp_path / name), field.name) for name in ("first", "again"))
        assert first.dtype == again.dtype
        np.testing.assert_array_equal(first, again)


def test_an_episode_length_that_is_not_the_mazes(tmp_path):
    options = defaults(CATALOGUE, "tmaze-passive-10", None) | {"corridor_length": 12}
    message = (
        r"^max_episode_steps of tmaze-passive-10 is 11, but a maze with corridor_length 12 and "
        r"oracle_length 0 has episodes of 13 steps; set it to 13$"
    )
    with pytest.raises(ValueError, match=message):
        make(options, "tmaze-passive-10", tmp_path)
