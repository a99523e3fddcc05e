"""A run against a store, both made up: what is asked to be equal, what may differ, and what is named."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from suites import CATALOGUE

from bench.analysis.regression import Held, Key, compare
from bench.work.record import Record

HERE, THERE = "this processor", "another"
EVALUATION = Key("evaluate", "darkroom", "ad-mamba", "default", 0)
PROBE = Key("probe", "darkroom", "ad-mamba", "default", 0)


def held(*rows, platform=HERE, status="ok"):
    table = pd.DataFrame(rows, columns=["metric", "step", "index", "value"])
    return Held(Record(status=status, platform=platform), table)


def score(value, metric="last_return", step=6, **made):
    return held((metric, step, 0.0, value), **made)


def seeds(values, **made):
    """One evaluation a seed, with these scores."""
    return {EVALUATION._replace(seed=seed): score(value, **made) for seed, value in enumerate(values)}


def alarms(run, store, scope=None):
    def alike(key):
        return run[key].made == store[key].made

    return compare(CATALOGUE, run, store, scope or {*run, *store}, alike).findings


def test_equal_numbers_raise_no_alarm():
    assert alarms(seeds([1.0, float("nan")]), seeds([1.0, float("nan")])) == []


@pytest.mark.parametrize("change", [1e-15, -1e-15, 3.0, float("nan")])
def test_the_smallest_difference_counts_on_one_platform_in_either_direction(change):
    (found,) = alarms(seeds([1.0 + change]), seeds([1.0]))
    assert found.keys == (EVALUATION,)
    assert found.number == "last_return (step 6, index 0)"
    assert found.why == "1 of 1 rows must be equal"
    assert found.stored != found.ours


def test_many_rows_of_a_metric_are_one_finding_that_shows_the_first():
    curve = [("training_loss", step, 0.0, 1.0 / step) for step in (2, 4, 6)]
    changed = [curve[0], *((*row[:3], row[3] + 0.5) for row in curve[1:])]
    (found,) = alarms({EVALUATION: held(*changed)}, {EVALUATION: held(*curve)})
    assert found.number == "training_loss (step 4, index 0)"
    assert found.why == "2 of 3 rows must be equal"
    assert (found.stored, found.ours) == ("0.25", "0.75")


def test_rows_that_are_missing_or_new_are_named():
    run = {EVALUATION: held(("last_return", 6, 0.0, 1.0), ("solved", 6, 0.0, 1.0))}
    store = {EVALUATION: held(("last_return", 6, 0.0, 1.0), ("return", 6, 0.0, 1.0))}
    assert {(found.number.split()[0], found.why) for found in alarms(run, store)} == {
        ("solved", "1 of 1 rows not in the store"),
        ("return", "1 of 1 rows missing from the run"),
    }


def test_a_job_that_ended_otherwise_or_never_ran_is_missing_with_its_status():
    store = seeds([1.0, 2.0])
    diverged = {EVALUATION: held(status="diverged: loss is nan")}
    assert [found.why for found in alarms(diverged, store)] == [
        "missing from the run (diverged: loss is nan)",
        "missing from the run (not-run: the tier has no such job)",
    ]


def test_a_cell_that_the_store_does_not_have_is_new():
    (found,) = alarms(seeds([1.0]), {})
    assert (found.why, found.ours, found.stored) == ("not in the store", "1", "")


def test_what_is_out_of_scope_is_not_missed():
    assert alarms(seeds([1.0]), seeds([1.0, 2.0, 3.0]), {EVALUATION}) == []


def test_counts_are_equal_on_every_platform_and_times_on_none():
    def probe(macs, milliseconds, platform):
        return {PROBE: held(("macs", 0, 0.0, macs), ("forward_milliseconds", 0, 0.0, milliseconds),
                            platform=platform)}  # fmt: skip

    assert alarms(probe(100.0, 3.0, HERE), probe(100.0, 9.0, HERE)) == []
    (found,) = alarms(probe(101.0, 3.0, HERE), probe(100.0, 3.0, THERE))
    assert found.number == "macs (step 0, index 0)"


STORED = [8.0, 9.0, 10.0]


@pytest.mark.parametrize(("ours", "word"), [(9.0, ""), (30.0, "improbable gain"), (-12.0, "improbable loss")])
def test_another_platforms_score_has_to_lie_where_the_stored_seeds_foretell(ours, word):
    found = alarms(seeds([ours], platform=THERE), seeds(STORED), {EVALUATION})
    assert [alarm.why.split(":")[0] for alarm in found] == ([word] if word else [])
    assert all(alarm.stored == "9 (n=3)" and alarm.ours.endswith("(n=1)") for alarm in found)


def test_a_seed_that_the_store_lacks_is_a_new_run_of_its_cell():
    other = {EVALUATION._replace(seed=7): score(9.5)}
    assert alarms(other, seeds(STORED), set(other)) == []
    far = {EVALUATION._replace(seed=7): score(60.0)}
    (found,) = alarms(far, seeds(STORED), set(far))
    assert found.keys == tuple(far)


@pytest.mark.parametrize(("ours", "alarming"), [(0.96, False), (0.9, True), (1.04, False), (1.2, True)])
def test_the_protocols_margin_holds_where_the_store_shows_no_spread(ours, alarming):
    key = Key("evaluate", "tmaze-passive-10", "dt", "default", 0)
    run, store = {key: score(ours, "return", platform=THERE)}, {key: score(1.0, "return")}
    found = alarms(run, store)
    assert bool(found) == alarming
    assert all("protocol's margin of 0.05" in alarm.why for alarm in found)


def test_the_score_is_read_at_the_checkpoint_that_the_protocol_selects():
    def run(last):
        return held(("last_return", 3, 0.0, 99.0), ("last_return", 6, 0.0, last), platform=THERE)

    store = {EVALUATION._replace(seed=seed): run(value) for seed, value in enumerate(STORED)}
    assert alarms({EVALUATION._replace(seed=9): run(9.0)}, store, {EVALUATION._replace(seed=9)}) == []


def test_rows_are_missed_on_another_platform_too():
    run = {EVALUATION: score(9.0, platform=THERE)}
    store = {EVALUATION: held(("last_return", 6, 0.0, 9.0), ("episode_return", 6, 1.0, 3.0))}
    (found,) = alarms(run, store)
    assert found.why == "1 of 1 rows missing from the run"


def test_curves_of_another_platform_are_not_compared_and_this_is_said():
    def one(platform, loss):
        return {
            EVALUATION: held(("last_return", 6, 0.0, 9.0), ("training_loss", 6, 0.0, loss), platform=platform)
        }

    compared = compare(CATALOGUE, one(THERE, 5.0), one(HERE, 1.0), {EVALUATION}, lambda key: False)
    assert compared.findings == []
    assert (compared.exact, compared.intervals, compared.margins, compared.uncompared) == (0, 0, 1, 1)


@settings(max_examples=25)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=6, unique=True))
def test_exchanged_seeds_are_named_whatever_their_scores(values):
    swapped = [values[1], values[0], *values[2:]]
    found = alarms(seeds(swapped), seeds(values))
    assert {alarm.keys[0].seed for alarm in found} == {0, 1}
    assert alarms(seeds(values), seeds(values)) == []
