"""Intervals over seeds cover what they say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.analysis.statistics import average, summarise


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=12).filter(lambda values: np.std(values) > 1e-3),
    st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_the_interval_is_scipys(values, confidence):
    summary = summarise(values, confidence)
    low, high = stats.t.interval(confidence, len(values) - 1, np.mean(values), stats.sem(values))
    scale = max(map(abs, values))
    assert summary.mean == pytest.approx(np.mean(values), abs=1e-9 * scale)
    assert summary.low == pytest.approx(low, rel=1e-9, abs=1e-9 * scale)
    assert summary.high == pytest.approx(high, rel=1e-9, abs=1e-9 * scale)
    assert summary.n == len(values)


@pytest.mark.parametrize("seeds", [3, 10])
def test_the_interval_covers_the_truth_as_often_as_it_says(seeds):
    draws = np.random.default_rng(seeds).normal(7.0, 3.0, size=(4000, seeds))
    covered = [summary.low <= 7.0 <= summary.high for summary in map(summarise, draws)]
    # Four standard errors of a share of 0.95 in 4,000 draws.
    assert abs(np.mean(covered) - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)


@pytest.mark.parametrize("values", [[3.5], [3.0, 4.0]])
def test_fewer_than_three_seeds_have_no_interval(values):
    summary = summarise(values)
    assert (summary.mean, summary.n) == (3.5, len(values))
    assert math.isnan(summary.low)
    assert math.isnan(summary.high)


def test_two_seeds_tell_what_more_of_them_would():
    assert summarise([3.0, 5.0]).error == pytest.approx(1.0)
    assert summarise([3.0, 5.0]).degrees == 1


def test_equal_seeds_have_an_interval_of_no_width():
    assert summarise([2.0, 2.0, 2.0]).as_row() == {
        "mean": 2.0, "low": 2.0, "high": 2.0, "n": 3, "error": 0.0,
    }  # fmt: skip


def test_no_seed_is_an_error():
    with pytest.raises(ValueError, match=r"^values must hold at least one number$"):
        summarise([])


def test_an_average_of_cells_covers_the_mean_of_their_means():
    generator, covered = np.random.default_rng(11), []
    truth, spread, seeds = np.array([10.0, 40.0, 90.0]), np.array([1.0, 8.0, 3.0]), (3, 5, 3)
    for _ in range(1000):
        cells = [summarise(generator.normal(m, s, n)) for m, s, n in zip(truth, spread, seeds, strict=True)]
        found = average(cells)
        covered.append(found.low <= truth.mean() <= found.high)
    assert found.n == 3
    # The degrees of freedom are themselves estimated, which costs a point or two.
    assert 0.93 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize("few", [[4.0], [3.0, 5.0]])
def test_an_average_with_too_few_seeds_in_it_has_no_interval(few):
    found = average([summarise([1.0, 2.0, 3.0]), summarise(few)])
    assert (found.mean, found.n) == (3.0, len(few))
    assert math.isnan(found.low)


def test_an_average_of_cells_without_spread_has_an_interval_of_no_width():
    found = average([summarise([1.0] * 3), summarise([3.0] * 3)])
    assert (found.mean, found.low, found.high) == (2.0, 2.0, 2.0)
