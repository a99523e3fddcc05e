"""On cells of known truth each verdict comes out right, as often as it has to."""

import math

import numpy as np
import pandas as pd
import pytest
from suites import CATALOGUE, SUITE

from bench.analysis.readings import Reading
from bench.analysis.reported import COLUMNS, Printed
from bench.analysis.statistics import summarise
from bench.analysis.verdicts import (
    equivalence,
    judge,
    margin_of,
    points_of,
    same_value,
    seeds_needed,
    verdict_of,
)
from bench.work.entries import entries

MARGIN = 5.0
# Standard normal draws, one for each simulated run: seeds of one cell in a row.
NORMAL = np.random.default_rng(2024).normal(size=(2000, 10))


def words(miss, spread, seeds, printed_error=0.0, cells=1000):
    """The verdicts on cells whose true mean misses the printed 50 by `miss`."""
    printed = 50.0 + printed_error * np.random.default_rng(9).normal(size=cells)
    runs = 50.0 + miss + spread * NORMAL[:cells, :seeds]
    return [
        equivalence(
            summarise(row), Printed(f"{value:.6f}", printed_error, 10 if printed_error else 0), MARGIN
        )
        for row, value in zip(runs, printed, strict=True)
    ]


def share(verdicts, word):
    return np.mean([verdict.word == word for verdict in verdicts])


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("spread", [9.0, 20.0])
def test_a_ten_point_miss_is_called_a_match_in_under_one_percent(seeds, spread):
    assert share(words(10.0, spread, seeds, cells=2000), "match") < 0.01


@pytest.mark.parametrize("printed_error", [0.0, 0.5])
def test_equal_means_of_ten_seeds_with_a_spread_of_a_third_of_the_margin_match(printed_error):
    assert share(words(0.0, MARGIN / 3, 10, printed_error), "match") >= 0.8


def test_a_ten_point_miss_of_ten_seeds_with_that_spread_differs():
    assert share(words(10.0, MARGIN / 3, 10), "differs") >= 0.99


@pytest.mark.parametrize("miss", [MARGIN, -MARGIN])
def test_a_miss_of_just_the_margin_is_rarely_called_either_way(miss):
    found = words(miss, 3.0, 5)
    # Each end of a 95 % interval errs in 2.5 % of cases; four standard errors of that in 1,000 cells.
    assert share(found, "match") <= 0.025 + 0.020
    assert share(found, "differs") <= 0.025 + 0.020


def test_three_seeds_with_a_wide_spread_are_inconclusive_and_say_what_it_would_take():
    verdict = equivalence(summarise([44.0, 50.0, 56.0]), Printed("50.0"), MARGIN)
    assert verdict.word == "inconclusive"
    assert verdict.low < -MARGIN < MARGIN < verdict.high
    settled = equivalence(summarise(50 + 6 * np.repeat([-1, 0, 1], 4)), Printed("50.0"), MARGIN)
    assert settled.word == "match"
    assert 3 < verdict.seeds_needed <= 12
    assert verdict.text == f"inconclusive (n = {verdict.seeds_needed} needed)"


def test_the_seeds_needed_are_the_fewest_that_settle_it():
    # Any even number of seeds of the same mean and deviation, made of two values either side.
    def cell(n):
        return summarise(50 + 3.0 * np.sqrt((n - 1) / n) * np.tile([-1.0, 1.0], n // 2))

    few = cell(4)
    needed = seeds_needed(few, Printed("52.0"), MARGIN)
    assert equivalence(cell(needed + needed % 2), Printed("52.0"), MARGIN).word == "match"
    assert equivalence(cell(needed - 2 + needed % 2), Printed("52.0"), MARGIN).word == "inconclusive"


def test_a_mean_at_the_margin_is_settled_by_no_number_of_seeds():
    verdict = equivalence(summarise([54.0, 55.0, 56.0]), Printed("50.0"), MARGIN)
    assert (verdict.word, verdict.seeds_needed) == ("inconclusive", 0)
    assert "200 seeds" in verdict.why
    assert verdict.text == "inconclusive"


@pytest.mark.parametrize(
    ("seeds", "needed"), [([50.0], 3), ([49.9, 50.1], 3), ([47.0, 53.0], 6), ([10.0, 90.0], 0)]
)
def test_fewer_than_three_seeds_settle_nothing_and_say_how_many_would(seeds, needed):
    verdict = equivalence(summarise(seeds), Printed("50.0"), MARGIN)
    assert (verdict.word, verdict.seeds_needed) == ("inconclusive", needed)
    assert verdict.why.endswith("an interval takes 3")
    assert math.isnan(verdict.low)


def test_an_uncertain_printed_value_widens_the_interval():
    ours = summarise([49.0, 50.0, 51.0, 50.0])
    exact, uncertain = (equivalence(ours, Printed("50.0", e, 10), MARGIN) for e in (0.0, 3.0))
    assert (exact.word, uncertain.word) == ("match", "inconclusive")


def test_a_reading_error_widens_the_interval_by_itself_whatever_the_seeds():
    ours = summarise(50.0 + 0.5 * np.tile([-1.0, 1.0], 50))
    exact = equivalence(ours, Printed("47.0"), MARGIN)
    drawn = equivalence(ours, Printed("47.0", reading_error=1.5), MARGIN)
    assert (exact.word, drawn.word) == ("match", "match")
    assert (drawn.low, drawn.high) == pytest.approx((exact.low - 1.5, exact.high + 1.5))
    # Two points of the five are left, and the error of reading is more than they are.
    vague = equivalence(ours, Printed("47.0", reading_error=2.5), MARGIN)
    assert (vague.word, vague.seeds_needed, vague.text) == ("inconclusive", 0, "inconclusive")
    assert "the error of reading the printed value does alone" in vague.why
    # The same number as a standard error of many seeds is a matter of chance, and more seeds of ours help.
    assert equivalence(ours, Printed("47.0", 0.5, 100), MARGIN).word == "match"


def test_seeds_cannot_make_up_for_the_error_of_reading():
    wide = summarise([44.0, 50.0, 56.0])
    assert seeds_needed(wide, Printed("50.0", reading_error=MARGIN), MARGIN) == 0
    exact, drawn = (seeds_needed(wide, Printed("50.0", reading_error=e), MARGIN) for e in (0.0, 2.0))
    assert exact < drawn


OURS = summarise([50.0, 50.1, 49.9])
REAL = {"margin": MARGIN, "data_source": "real", "budget": "paper"}


@pytest.mark.parametrize(
    ("ours", "status", "printed", "rest", "wanted"),
    [
        (OURS, "ok", Printed("50.0"), REAL, "match"),
        (OURS, "ok", Printed("61.0"), REAL, "differs"),
        (OURS, "ok", Printed("55.0"), REAL, "inconclusive"),
        (OURS, "ok", Printed("50.0"), REAL | {"data_source": "stand-in"}, "stand-in"),
        (OURS, "ok", Printed("61.0"), REAL | {"data_source": "stand-in"}, "stand-in"),
        (OURS, "ok", Printed("50.0"), REAL | {"data_source": "minari"}, "stand-in"),
        (OURS, "ok", Printed("50.0"), REAL | {"data_source": "real and stand-in"}, "stand-in"),
        (OURS, "ok", Printed("50.0"), REAL | {"data_source": "local"}, "match"),
        (OURS, "ok", Printed("50.0"), REAL | {"budget": "reduced"}, "reduced"),
        (OURS, "ok", Printed("61.0"), REAL | {"budget": "reduced", "data_source": "local"}, "reduced"),
        (OURS, "ok", None, REAL, "unreported"),
        (OURS, "ok", None, REAL | {"data_source": "stand-in"}, "unreported"),
        (OURS, "ok", Printed("OOM"), REAL, "unreported"),
        (None, "not-run: needs the cpu tier", Printed("OOM"), REAL, "not-run"),
        (OURS, "ok", Printed("50.0"), REAL | {"margin": None}, "inconclusive"),
        (None, "not-run: needs the cpu tier", Printed("50.0"), REAL, "not-run"),
        (None, "not-run: needs the cpu tier", None, REAL, "not-run"),
        (None, "diverged: loss is nan", Printed("50.0"), REAL, "not-run"),
        (None, "unavailable: no policy", Printed("50.0"), REAL, "unavailable"),
        (None, "skipped: its dataset is unavailable: no policy", None, REAL, "unavailable"),
    ],
)
def test_the_word_says_what_stands_in_the_way(ours, status, printed, rest, wanted):
    assert judge(ours, None, status, printed, **rest).word == wanted


def test_a_count_has_to_have_the_printed_digits():
    exact = REAL | {"margin": 0.0}
    assert judge(summarise([726019.0]), None, "ok", Printed("726019"), **exact).word == "match"
    assert judge(summarise([726020.0]), None, "ok", Printed("726019"), **exact).word == "differs"


def test_a_setting_has_words_of_its_own():
    assert judge(None, 4, "ok", Printed("3"), **REAL).word == "disagrees"
    assert judge(None, 128, "ok", Printed("128"), **REAL).word == "agrees"
    unknown = judge(None, 128, "ok", None, **REAL)
    assert (unknown.word, unknown.why) == ("unreported", "the paper's value is not known")
    assert math.isnan(unknown.difference)


@pytest.mark.parametrize(
    ("ours", "printed", "wanted"),
    [
        (0.0001, "1e-4", True),
        (100000, "1e5", True),
        (0.00011, "1e-4", False),
        (0.252, "0.25", True),
        (0.26, "0.25", False),
        ("relu", "ReLU", True),
        ("gelu", "ReLU", False),
        (True, "true", True),
        (5, "ReLU", False),
    ],
)
def test_values_are_compared_to_the_printed_decimals(ours, printed, wanted):
    assert same_value(ours, printed) is wanted


def test_the_margin_is_the_protocols_for_its_score_and_none_for_times():
    catalogue = CATALOGUE
    assert (
        margin_of(CATALOGUE, "hopper-medium", "normalised_score")
        == catalogue.protocols["return-conditioned"].margin
    )
    assert margin_of(CATALOGUE, "hopper-medium", "parameters") == 0.0
    assert margin_of(CATALOGUE, "hopper-medium", "training_hours") is None
    # The points of a curve are scores, as the last of them is the score.
    assert margin_of(CATALOGUE, "darkroom", "episode_return") == catalogue.protocols["in-context"].margin


def curve_of(*means):
    """A reading of DM-H in Darkroom in the paper tier: ten seeds close around a mean at each episode."""
    entry = next(e for e in entries(SUITE, "dmh_fig02", "paper") if (e.cell.task, e.cell.method) == DARKROOM)
    seeds = 0.01 * np.tile([-1.0, 1.0], 5)
    points = [
        {"index": float(k), **summarise(mean + seeds).as_row()} for k, mean in enumerate(means, start=1)
    ]
    whole = summarise(np.mean(means) + seeds)
    return Reading(entry, "ok", whole, pd.DataFrame(points), data_source="local")


DARKROOM = ("darkroom", "dmh")


def drawn_by_the_paper(points, error="0.1"):
    """What a paper draws of DM-H in Darkroom, index -> value."""
    rows = [
        dict.fromkeys(COLUMNS, "") | {
            "artifact": "dmh_fig02", "task": "darkroom", "method": "dmh", "settings": "default",
            "metric": "episode_return", "index": index, "value": value, "spread": error,
            "spread_kind": "reading error", "confidence": "digitised",
        }
        for index, value in points.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def test_each_point_of_a_curve_is_judged_against_ours_at_its_index():
    reading = curve_of(1.0, 5.0, 9.0)
    printed = drawn_by_the_paper({"3": "9.1", "2": "3.0", "1": "1.45", "4": "12.0"})
    points = points_of(reading, "paper", printed)
    assert [(point.index, point.verdict.word) for point in points] == [
        (1.0, "inconclusive"), (2.0, "differs"), (3.0, "match"), (4.0, "not-run"),
    ]  # fmt: skip
    assert points[1].verdict.difference == pytest.approx(2.0)
    whole = verdict_of(reading, "paper", printed)
    assert whole.word == "inconclusive"
    assert whole.why == "its points differ: 1 inconclusive, 1 differs, 1 match, 1 not-run"


def test_a_curve_has_the_verdict_that_all_its_points_share():
    reading = curve_of(1.0, 5.0, 9.0)
    printed = drawn_by_the_paper({"2": "5.1", "3": "9.0"})
    assert verdict_of(reading, "paper", printed).word == "match"
    assert verdict_of(reading, "quick", printed).word == "reduced"
    assert verdict_of(reading, "paper", drawn_by_the_paper({})).word == "unreported"
    assert points_of(reading, "paper", drawn_by_the_paper({})) == []
