"""Evaluation in Atari: which returns are asked for, what a policy is told of them, and what its score is."""

from __future__ import annotations

import numpy as np
import pytest
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.errors import SpecError
from bench.evaluators.asked_returns import asked, evaluate
from bench.work.availability import evaluator_module
from bench.work.cells import Cell
from bench.worlds.atari import test

OPTIONS = defaults(CATALOGUE, "breakout", "dt") | {"evaluation_episodes": 2, "max_episode_steps": 120}
FACTS = {"largest_return": 57.0}


class Serving:
    """A learner whose policy serves and moves at random; it remembers what it is told."""

    def __init__(self):
        self.wanted, self.rewards, self.starts = [], [], []

    def policy(self, trial):
        self.generator = np.random.default_rng(0)
        self.wanted.append([])
        self.rewards.append([])
        return self

    def begin(self, past):
        self.first = True

    def act(self, seen):
        if self.first:
            self.starts.append(seen.states.copy())
            self.first = False
        self.wanted[-1].append(seen.wanted.copy())
        return np.eye(4, dtype=np.float32)[self.generator.integers(4, size=len(seen.states))]

    def observe(self, rewards):
        self.rewards[-1].append(rewards)


def test_the_protocol_names_its_evaluator_and_the_others_keep_theirs():
    assert evaluator_module(CATALOGUE, Cell("breakout", "dt")) == "bench.evaluators.asked_returns"
    assert evaluator_module(CATALOGUE, Cell("hopper-medium", "dt")) == "bench.evaluators.return_conditioned"
    assert evaluator_module(CATALOGUE, Cell("darkroom", "ad-mamba")) == "bench.evaluators.in_context"


def test_each_return_is_asked_for_in_episodes_of_its_own_that_begin_alike():
    learner = Serving()
    rows = evaluate(learner, test, OPTIONS | {"target_returns": "90-150"}, "breakout", 0, FACTS)
    assert [wanted[0].tolist() for wanted in learner.wanted] == [[90.0, 90.0], [150.0, 150.0]]
    np.testing.assert_array_equal(*learner.starts)
    assert learner.starts[0].shape == (2, 4, 84, 84)
    assert [index for metric, index, _ in rows if metric == "return_at_target"] == [90.0, 150.0]


def test_the_return_still_wanted_falls_by_each_reward():
    learner = Serving()
    evaluate(learner, test, OPTIONS | {"target_returns": "90"}, "breakout", 0, FACTS)
    [wanted], [rewards] = learner.wanted, learner.rewards
    assert np.sum(rewards) > 0, "random play meets a brick now and then"
    for before, after, reward in zip(wanted, wanted[1:], rewards, strict=False):
        np.testing.assert_array_equal(after, before - reward)


def test_the_score_is_read_at_the_first_return_asked_for():
    learner = Serving()
    rows = evaluate(learner, test, OPTIONS | {"target_returns": "90-150"}, "breakout", 0, FACTS)
    found = {(metric, index): value for metric, index, value in rows}
    earned = np.sum(learner.rewards[0], axis=0).mean()
    assert found["return", 0.0] == found["return_at_target", 90.0] == earned
    assert found["gamer_normalised_score", 0.0] == pytest.approx(100 * (earned - 2) / (30 - 2))


def test_the_largest_return_of_the_dataset_can_be_asked_for():
    assert asked(OPTIONS | {"target_returns": "largest"}, FACTS) == [57.0]


@pytest.mark.parametrize("name", [name for name, task in CATALOGUE.tasks.items() if task.protocol == "atari"])
def test_the_returns_of_every_game_can_be_read(name):
    assert min(asked(defaults(CATALOGUE, name, "dema"), {})) > 0


@pytest.mark.parametrize("written", ["", "90,150", "90--150", "much", "1e3"])
def test_what_is_no_list_of_returns_is_refused(written):
    with pytest.raises(SpecError, match=r"option target_returns: .* whole numbers joined by hyphens"):
        asked(OPTIONS | {"target_returns": written}, FACTS)
