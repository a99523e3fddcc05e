"""What the stored seeds foretell: an interval that unchanged runs leave as seldom as it says."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from suites import CATALOGUE

from bench.analysis.expected_range import FALSE_ALARMS, Foretold, Spread, foretell, pooled_spread
from bench.files import ROOT
from benchmarks.regression import KINDS, LAYOUTS, alarms, wilson

SCORES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6)
STORE = pd.read_csv(ROOT / "results" / "stored" / "quick" / "cells.csv")


def one_family(_):
    return "task and metric"


def share_of_alarms(layout, kind, runs, shift=0.0):
    generator = np.random.default_rng(5)
    return [alarms(LAYOUTS[layout], KINDS[kind], generator, shift)[shift > 0] for _ in range(runs)]


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8).filter(lambda x: np.std(x) > 1e-3))
def test_one_cells_interval_is_the_textbooks(scores):
    found = foretell({"cell": scores}, {"cell": 1}, one_family)["cell"]
    n, quantile = len(scores), stats.t.ppf(1 - FALSE_ALARMS / 2, len(scores) - 1)
    assert found.mean == pytest.approx(np.mean(scores), abs=1e-9)
    assert found.half == pytest.approx(quantile * np.std(scores, ddof=1) * math.sqrt(1 + 1 / n), rel=1e-6)


@given(st.lists(SCORES, min_size=1, max_size=5), st.floats(-100, 100))
def test_the_pooled_spread_does_not_see_where_the_cells_lie(cells, far):
    before = pooled_spread(cells)
    moved = pooled_spread([[value + far * number for value in cell] for number, cell in enumerate(cells)])
    assert moved.degrees == before.degrees == sum(len(cell) - 1 for cell in cells)
    assert moved.deviation == pytest.approx(before.deviation, rel=1e-6, abs=1e-6)


def test_a_cell_of_one_seed_takes_the_spread_of_its_family():
    stored = {"a": [1.0, 3.0], "b": [7.0], "c": [5.0]}
    found = foretell(stored, {"b": 1, "c": 1}, lambda name: "other" if name == "c" else "same")
    assert found.keys() == {"b"}
    assert found["b"].mean == 7.0


@pytest.mark.parametrize("equal", [[0.1, 0.1, 0.1], [1.0], [2.0, 2.0]])
def test_seeds_that_are_equal_or_alone_tell_no_spread(equal):
    assert pooled_spread([equal]).deviation == 0
    assert foretell({"cell": equal}, {"cell": 1}, one_family) == {}
    assert pooled_spread([]) == Spread(0.0, 0)


def test_a_cell_that_the_store_lacks_is_left_out():
    assert foretell({"a": [1.0, 2.0]}, {"b": 1}, one_family) == {}


def test_more_comparisons_widen_each_interval():
    stored = {name: [1.0, 2.0, 4.0] for name in "abc"}
    alone = foretell(stored, {"a": 1}, one_family)["a"]
    among = foretell(stored, dict.fromkeys("abc", 1), one_family)["a"]
    assert among.half > alone.half


def test_gains_count_as_losses_do():
    assert Foretold(10.0, 2.0).holds(12.0)
    assert not Foretold(10.0, 2.0).holds(12.1)
    assert not Foretold(10.0, 2.0).holds(7.9)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_unchanged_runs_raise_an_alarm_as_seldom_as_promised(layout):
    raised = share_of_alarms(layout, "normal", 300 if "ten tasks" in layout else 1500)
    # Four standard errors of the share.
    room = 4 * math.sqrt(FALSE_ALARMS * (1 - FALSE_ALARMS) / len(raised))
    assert np.mean(raised) <= FALSE_ALARMS + room


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "normal"])
def test_the_quick_tiers_runs_raise_few_even_where_seeds_are_not_normal_or_alike(kind):
    raised = share_of_alarms("quick, cells retrained", kind, 1500)
    low, _ = wilson(sum(raised), len(raised))
    assert low <= 0.05


def test_a_shift_of_eight_standard_deviations_is_named_in_nine_runs_of_ten():
    named = share_of_alarms("quick, cells retrained", "normal", 400, shift=8.0)
    assert np.mean(named) >= 0.9


def test_no_stored_seed_of_the_quick_tier_is_alarming_beside_the_others():
    protocols = CATALOGUE.protocols
    scores = STORE[STORE["metric"] == STORE["protocol"].map(lambda name: protocols[name].score)]
    cells = dict(iter(scores.groupby(["task", "method", "settings", "metric"])))
    tried = 0
    for name, group in cells.items():
        for seed in group["seed"] if len(group) > 1 else []:
            left = {cell: rows["value"].tolist() for cell, rows in cells.items()}
            left[name] = group.loc[group["seed"] != seed, "value"].tolist()
            found = foretell(left, {name: 1}, lambda cell: (cell[0], cell[3]))[name]
            assert found.holds(group.loc[group["seed"] == seed, "value"].item()), (name, seed)
            tried += 1
    assert tried == 15
