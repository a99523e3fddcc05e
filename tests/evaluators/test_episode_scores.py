"""The scores of single episodes are those whose mean an evaluation calls the score."""

import numpy as np
import pytest
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.evaluators import return_conditioned
from bench.worlds.mujoco import test

RETURNS = {3600.0: [100.0, 300.0], 1800.0: [500.0, 900.0]}


@pytest.mark.parametrize(("selection", "target"), [("first", 3600.0), ("best", 1800.0)])
def test_the_score_is_read_at_the_selected_target(monkeypatch, selection, target):
    def play(world, agent, asked, trial, options):
        return np.array(RETURNS[asked]), np.array([10.0, 20.0])

    monkeypatch.setattr(return_conditioned, "play", play)
    options = defaults(CATALOGUE, "hopper-medium", "dema") | {"target_selection": selection}
    rows = {
        (name, index): value
        for name, index, value in return_conditioned.evaluate(None, test, options, "hopper-medium", 0, {})
    }
    assert rows["return_at_target", 3600.0] == 200.0
    assert rows["return_at_target", 1800.0] == 700.0
    assert rows["return", 0.0] == np.mean(RETURNS[target])
    low, high = options["reference_low"], options["reference_high"]
    scores = return_conditioned.episode_scores(None, test, options, "hopper-medium", 0, {})
    np.testing.assert_allclose(scores, 100 * (np.array(RETURNS[target]) - low) / (high - low))
    assert rows["normalised_score", 0.0] == pytest.approx(scores.mean())


def test_a_second_target_of_zero_is_not_played(monkeypatch):
    asked = []

    def play(world, agent, target, trial, options):
        asked.append(target)
        return np.array([1.0]), np.array([1.0])

    monkeypatch.setattr(return_conditioned, "play", play)
    options = defaults(CATALOGUE, "hopper-medium", "dema") | {"second_target_return": 0.0}
    return_conditioned.episode_scores(None, test, options, "hopper-medium", 0, {})
    assert asked == [3600.0]
