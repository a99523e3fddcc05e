"""The scores of single episodes are those whose mean an evaluation calls the score."""

import numpy as np
import pytest
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.evaluators import return_conditioned
from bench.evaluators.in_context import scored
from bench.worlds.mujoco import test

# What is earned where 1, 2, 10 and 20 times the first target are asked for.
RETURNS = {
    3600.0: [100.0, 300.0],
    7200.0: [500.0, 900.0],
    36000.0: [600.0, 600.0],
    72000.0: [0.0, 1000.0],
}


@pytest.mark.parametrize(("selection", "target"), [("first", 3600.0), ("best", 7200.0)])
def test_the_score_is_read_at_the_selected_target(monkeypatch, selection, target):
    def play(world, agent, asked, trial, options):
        return np.array(RETURNS[asked]), np.array([10.0, 20.0])

    monkeypatch.setattr(return_conditioned, "play", play)
    options = defaults(CATALOGUE, "hopper-medium", "dema") | {"target_selection": selection}
    rows = {
        (name, index): value
        for name, index, value in return_conditioned.evaluate(None, test, options, "hopper-medium", 0, {})
    }
    at_target = {index: value for (name, index), value in rows.items() if name == "return_at_target"}
    assert at_target == {target: np.mean(earned) for target, earned in RETURNS.items()}
    assert rows["return", 0.0] == np.mean(RETURNS[target])
    low, high = options["reference_low"], options["reference_high"]
    scores = return_conditioned.episode_scores(None, test, options, "hopper-medium", 0, {})
    np.testing.assert_allclose(scores, 100 * (np.array(RETURNS[target]) - low) / (high - low))
    assert rows["normalised_score", 0.0] == pytest.approx(scores.mean())


@pytest.mark.parametrize(
    ("task", "multiples", "asked"),
    [
        ("hopper-medium", "1", [3600.0]),
        ("walker2d-medium", "1-0.5", [5000.0, 2500.0]),
        ("halfcheetah-medium", "1-0.75-0.5", [12000.0, 9000.0, 6000.0]),
        ("halfcheetah-medium", None, [12000.0, 24000.0, 120000.0, 240000.0]),
        ("maze2d-umaze", None, [300.0, 200.0, 150.0, 100.0, 50.0, 20.0]),
        ("antmaze-umaze", None, [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3]),
    ],
)
def test_targets_are_multiples_of_the_tasks_own(task, multiples, asked):
    options = defaults(CATALOGUE, task, "dema")
    changes = {} if multiples is None else {"target_multiples": multiples}
    assert return_conditioned.targets(options | changes) == pytest.approx(asked)


def test_a_protocol_without_multiples_asks_for_one_return_and_names_no_targets(monkeypatch):
    asked = []

    def play(world, agent, target, trial, options):
        asked.append(target)
        return np.array([1.0]), np.array([1.0])

    monkeypatch.setattr(return_conditioned, "play", play)
    options = {
        k: v for k, v in defaults(CATALOGUE, "hopper-medium", "dema").items() if k != "target_multiples"
    }
    rows = return_conditioned.evaluate(None, test, options, "hopper-medium", 0, {})
    assert asked == [3600.0]
    assert "return_at_target" not in {name for name, _, _ in rows}


@pytest.mark.parametrize(
    ("episode", "returns", "lengths"),
    [
        ("last", [2.0, 5.0], [30.0, 60.0]),
        ("largest", [9.0, 7.0], [20.0, 50.0]),
        ("mean", [4.0, 6.0], [20.0, 50.0]),
    ],
)
def test_of_consecutive_episodes_one_or_the_mean_of_all_is_the_score(episode, returns, lengths):
    played = np.array([[1.0, 9.0, 2.0], [6.0, 7.0, 5.0]])
    lasted = np.array([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]])
    found = scored(played, lasted, episode)
    assert [values.tolist() for values in found] == [returns, lengths]
