"""Statistics over many tasks are their definitions, written out run by run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.analysis.aggregate import (
    interquartile_mean,
    performance_profile,
    stratified_bootstrap,
)

# Whole numbers, so that ties occur.
SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 6))
SCORES = SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=st.integers(-4, 4).map(float)))


@given(SCORES)
def test_the_interquartile_mean_drops_a_quarter_of_the_runs_at_either_end(scores):
    runs = sorted(scores.ravel().tolist())
    cut = len(runs) // 4
    kept = runs[cut : len(runs) - cut]
    assert interquartile_mean(scores) == pytest.approx(sum(kept) / len(kept))


@given(SCORES)
def test_a_performance_profile_is_the_share_of_runs_above_each_threshold(scores):
    thresholds = np.array([-5.0, -1.0, 0.0, 2.0, 4.0])
    profile = performance_profile(scores, thresholds)
    runs = scores.ravel().tolist()
    assert profile.tolist() == [pytest.approx(sum(run > t for run in runs) / len(runs)) for t in thresholds]
    assert profile[0] == 1.0
    assert profile[-1] == 0.0
    assert (np.diff(profile) <= 0).all()


def test_the_bootstrap_draws_within_tasks_and_not_across_them():
    # Each task's runs are equal: whatever is drawn, every draw is the scores themselves.
    scores = np.array([[1.0, 1.0, 1.0], [50.0, 50.0, 50.0]])
    interval = stratified_bootstrap(interquartile_mean, np.random.default_rng(0), scores)
    assert (interval.value, interval.low, interval.high) == (25.5, 25.5, 25.5)


def test_the_bootstrap_is_the_percentile_interval_of_draws_made_one_by_one():
    scores = np.random.default_rng(1).normal(size=(4, 5))
    interval = stratified_bootstrap(interquartile_mean, np.random.default_rng(2), scores, draws=1500)
    generator, one_by_one = np.random.default_rng(3), []
    for _ in range(1500):
        again = [generator.choice(task, size=5) for task in scores]
        one_by_one.append(interquartile_mean(np.array(again)))
    # Percentiles of two sets of 1,500 draws; their noise here is some hundredths.
    np.testing.assert_allclose(
        [interval.low, interval.high], np.percentile(one_by_one, [2.5, 97.5]), atol=0.08
    )
    assert interval.low < interval.value < interval.high


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    scores = np.random.default_rng(4).normal(size=(3, 4))
    one, same, other = (
        stratified_bootstrap(interquartile_mean, np.random.default_rng(seed), scores) for seed in (5, 5, 6)
    )
    assert one == same
    assert one != other


def test_the_interval_of_ten_runs_on_nine_tasks_covers_the_truth():
    generator, covered = np.random.default_rng(7), 0
    for _ in range(150):
        scores = generator.normal(50.0, 10.0, size=(9, 10))
        interval = stratified_bootstrap(interquartile_mean, generator, scores, draws=200)
        covered += interval.low <= 50.0 <= interval.high
    assert 0.86 <= covered / 150 <= 0.99, "a percentile bootstrap is a little too narrow, not grossly so"


def test_two_methods_and_whole_curves_are_bootstrapped_alike():
    generator = np.random.default_rng(8)
    better, worse = generator.normal(1.0, 1.0, (6, 10)), generator.normal(0.0, 1.0, (6, 5))

    def lead(first, second):
        return interquartile_mean(first) - interquartile_mean(second)

    found = stratified_bootstrap(lead, generator, better, worse)
    assert 0.0 < found.low < found.value < found.high < 2.0
    band = stratified_bootstrap(lambda s: performance_profile(s, np.array([0.0, 1.0])), generator, better)
    assert band.value.shape == band.low.shape == (2,)
    assert (band.low <= band.value).all()
    assert (band.value <= band.high).all()


@pytest.mark.parametrize("scores", [np.zeros(3), np.array([[1.0, np.nan]])])
def test_scores_that_are_no_full_grid_of_numbers_are_refused(scores):
    with pytest.raises(ValueError, match=r"^scores must be finite numbers \(tasks, runs\), got shape"):
        stratified_bootstrap(interquartile_mean, np.random.default_rng(0), scores)
