"""Evaluation in a maze: what a policy is told, and what its score is."""

from __future__ import annotations

import numpy as np
import pytest
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.evaluators.return_conditioned import evaluate
from bench.seeds import stream_seed
from bench.worlds.maze import test
from bench.worlds.maze.waypoints import WaypointController
from bench.worlds.maze.world import make_batch

OPTIONS = defaults(CATALOGUE, "maze2d-umaze", "dt") | {"evaluation_episodes": 12}


class Driven:
    """A learner whose policy is the waypoint controller; it remembers what it is told."""

    def __init__(self):
        self.told, self.starts, self.streams = [], [], []

    def policy(self, trial):
        self.streams.append(trial.generator.initial_seed())
        self.told.append([])
        return self

    def begin(self, past):
        self.controller = None

    def observe(self, rewards):
        assert rewards.dtype == np.float32

    def act(self, seen):
        states = seen.states
        self.told[-1].append(seen.wanted.copy())
        if self.controller is None:
            self.starts.append(states.copy())
            maze = make_batch(OPTIONS, 1)
            ways = [np.random.default_rng(0)] * len(states)
            self.controller = WaypointController(maze.layout, states[:, :2], ways, spread=0.0)
            for ball in range(len(states)):
                self.controller.send(ball, maze.goal_cell)
        self.controller.arrived(states[:, :2])
        return self.controller.act(states)


class Still(Driven):
    """One that never pushes."""

    def act(self, seen):
        self.starts.append(seen.states.copy())
        return np.zeros((len(seen.states), 2))


def test_the_return_still_wanted_falls_by_each_reward_and_targets_share_their_starts():
    learner = Driven()
    rows = {
        (metric, index): value
        for metric, index, value in evaluate(learner, test, OPTIONS, "maze2d-umaze", 0, {})
    }
    assert set(rows) >= {("return_at_target", 300.0), ("return_at_target", 20.0)}
    np.testing.assert_array_equal(*learner.starts)
    for target, told in zip((300.0, 20.0), learner.told, strict=True):
        wanted = np.stack(told)
        assert (wanted[0] == target).all()
        falls = -np.diff(wanted, axis=0)
        assert set(falls.ravel()) == {0.0, 1.0}
        assert target - wanted[-1].mean() == pytest.approx(rows["return_at_target", target], abs=1.0 + 1e-3)
    assert len(learner.told[0]) == 300, "episodes go on at the goal"


def test_the_score_is_read_between_d4rls_references():
    rows = {metric: value for metric, _, value in evaluate(Driven(), test, OPTIONS, "maze2d-umaze", 0, {})}
    assert rows["episode_length"] == 300
    assert rows["normalised_score"] == pytest.approx(100 * (rows["return"] - 23.85) / (161.86 - 23.85))
    assert rows["normalised_score"] > 90
    still = {metric: value for metric, _, value in evaluate(Still(), test, OPTIONS, "maze2d-umaze", 0, {})}
    assert still["return"] < 0.5 * rows["return"]


def test_starts_depend_on_the_seed_and_not_on_the_method():
    first, other, later = Still(), Driven(), Still()
    evaluate(first, test, OPTIONS | {"second_target_return": 0.0}, "maze2d-umaze", 0, {})
    evaluate(other, test, OPTIONS | {"second_target_return": 0.0}, "maze2d-umaze", 0, {})
    evaluate(later, test, OPTIONS | {"second_target_return": 0.0}, "maze2d-umaze", 1, {})
    np.testing.assert_array_equal(first.starts[0], other.starts[0])
    assert (first.starts[0] != later.starts[0]).any()


def test_what_a_policy_draws_comes_from_one_stream_whatever_is_asked_for():
    first, later = Still(), Still()
    evaluate(first, test, OPTIONS, "maze2d-umaze", 0, {})
    evaluate(later, test, OPTIONS, "maze2d-umaze", 1, {})
    assert first.streams == later.streams == [stream_seed("eval", "candidates")] * 2
