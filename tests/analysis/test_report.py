"""What the report's drawings and links are made of."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suites import CATALOGUE

from bench.analysis.report.charts import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    interval_chart,
    line_chart,
    nice_ticks,
)
from bench.analysis.report.pages import linked

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))


@given(NUMBERS, st.floats(1e-3, 1e6))
def test_ticks_lie_within_the_axis_at_equal_steps(low, room):
    high = low + room
    ticks = nice_ticks(low, high)
    slack = 1e-6 * room
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    assert 1 <= len(ticks) <= 5
    steps = [after - before for before, after in pairwise(ticks)]
    assert all(step == pytest.approx(steps[0], rel=1e-3) for step in steps)


def test_ticks_are_round():
    assert nice_ticks(0, 1000) == [0, 250, 500, 750, 1000]
    assert nice_ticks(6, 300) == [100, 200, 300]
    assert nice_ticks(5, 5) == [5]


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=6))
def test_every_point_of_a_line_lies_in_the_drawing(points):
    (line,) = line_chart({"seed 0": points}, "updates", "loss").lines
    pixels = [tuple(map(float, pair.split(","))) for pair in line.points.split(" ")]
    assert len(pixels) == len(points)
    assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in pixels)


def test_a_chart_says_in_words_what_it_draws():
    chart = line_chart({"seed 0": [(1, 4.0), (2, 2.5)], "seed 1": [(1, 3.0)]}, "updates", "Loss [nats]")
    assert chart.description == (
        "Loss [nats] over updates, from 1 to 2. seed 0 ends at 2.5; seed 1 ends at 3"
    )  # fmt: skip
    higher, lower = (float(pair.split(",")[1]) for pair in chart.lines[0].points.split(" "))
    assert higher < lower


def test_an_interval_is_drawn_beside_what_it_is_held_against():
    shown = interval_chart(2.0, 1.5, 2.5, [1.0], ratio=False)
    assert 0 < shown.marks[0] < shown.low < shown.effect < shown.high < 100
    one_seed = interval_chart(2.0, math.nan, math.nan, [1.0], ratio=False)
    assert one_seed.low == one_seed.effect == one_seed.high


def test_a_ratio_and_its_inverse_lie_equally_far_from_one():
    shown = interval_chart(1.0, 0.5, 2.0, [1.0], ratio=True)
    assert shown.effect - shown.low == pytest.approx(shown.high - shown.effect, abs=0.2)


def test_an_artifact_named_in_a_text_leads_to_its_numbers_and_all_else_is_escaped():
    text = linked(CATALOGUE, "dmh_table02, <b> & dmh_table0299")
    assert text == '<a href="dmh.html#dmh_table02">dmh_table02</a>, &lt;b&gt; &amp; dmh_table0299'
