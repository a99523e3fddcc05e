"""A performance profile compares methods on the tasks and the number of runs that all of them have."""

import numpy as np
import pytest
from suites import SUITE

from bench.analysis.figures import draw
from bench.analysis.profiles import shared_scores
from bench.analysis.readings import Reading
from bench.analysis.statistics import summarise
from bench.work.renderings import Rendering

PROFILE = Rendering(SUITE, "cpu", "extra_fig02")


def readings_of(scores):
    """A reading of each entry, `scores` giving its runs' scores or none."""
    return [
        Reading(entry, "ok", summarise(runs), scores=tuple(runs))
        if (runs := scores(entry.cell))
        else Reading(entry, "not-run: cpu tier")
        for entry in PROFILE.entries
    ]


def test_only_tasks_that_every_drawn_method_has_are_compared_and_as_many_runs_of_each():
    def scores(cell):
        if cell.method == "iql" or (cell.method == "bc" and cell.task == "hopper-medium"):
            return []
        return [10.0, 20.0, 30.0] if cell.method == "dt" else [5.0, 15.0]

    tasks, found = shared_scores(readings_of(scores))
    assert "hopper-medium" not in tasks
    assert len(tasks) == 8
    assert {each.shape for each in found.values()} == {(8, 2)}
    assert np.array_equal(found["dt"][0], [10.0, 20.0])


def lines_of(figure):
    return {line.get_label(): line for line in figure.axes[0].get_lines()}


def test_the_share_of_runs_above_a_threshold_falls_from_all_to_none():
    figure = draw(PROFILE.artifact, readings_of(lambda cell: [30.0, 50.0]), "heading")
    x, y = lines_of(figure)["DT"].get_data()
    assert y[0] == 1.0
    assert y[-1] == 0.0
    assert y[np.searchsorted(x, 40.0)] == 0.5
    assert "2 runs each on 9 tasks; 95 % stratified bootstrap over runs" in figure.get_suptitle()
    assert figure.axes[0].get_xlabel().endswith("threshold")


@pytest.mark.parametrize(("tasks", "runs"), [(1, 3), (9, 1)])
def test_few_tasks_or_one_run_have_no_interval(tasks, runs):
    named = list(dict.fromkeys(entry.cell.task for entry in PROFILE.entries))[:tasks]
    figure = draw(
        PROFILE.artifact,
        readings_of(lambda cell: [30.0, 40.0, 50.0][:runs] * (cell.task in named)),
        "heading",
    )
    assert "too few for an interval" in figure.get_suptitle()
    assert not figure.axes[0].collections


def test_without_numbers_both_panels_say_why():
    figure = draw(PROFILE.artifact, readings_of(lambda cell: []), "heading")
    assert all("cpu tier" in ax.texts[0].get_text() for ax in figure.axes)
