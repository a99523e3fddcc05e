"""The benchmark of the learner runs every dark room, and its file holds what the documentation repeats."""

from __future__ import annotations

import csv

from suites import CATALOGUE

from bench.files import ROOT
from benchmarks.histories import LARGE_STEPS, cases, measured


def test_every_dark_room_is_measured_and_the_dynamic_ones_in_both_readings():
    measured_cases = cases("") + cases("large-")
    catalogue = CATALOGUE
    rooms = {name for name, task in catalogue.tasks.items() if task.family == "gridworld"}
    assert {task for task, _ in measured_cases} == rooms
    readings = [changes["dynamics"] for task, changes in measured_cases if task == "darkroom-dynamic"]
    assert tuple(readings) == catalogue.options("darkroom-dynamic", None)["dynamics"].choices


def test_a_measurement_has_its_time_and_what_was_reached(capsys):
    seconds, share, solved = measured("darkroom", {"history_steps": 20_000}, 2)
    assert (seconds.case, seconds.unit, seconds.repeats) == ("darkroom 20000", "s", 2)
    assert 0 < seconds.best <= seconds.median
    assert 0 <= solved.best <= 1
    assert 0 < share.best <= 1
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_documentation_shows_the_measured_shares():
    with (ROOT / "results" / "benchmarks" / "histories.csv").open(newline="") as file:
        best = {(row["case"], row["implementation"]): float(row["best"]) for row in csv.DictReader(file)}
    text = (ROOT / "docs" / "data.md").read_text()
    for task, changes in cases("large-"):
        case = " ".join([task, *changes.values()])
        lengths = [f"{case} {steps}" for steps in LARGE_STEPS]
        shown = [
            f"{best[length, 'last tenth over optimum']:.2f} ({best[length, 'solved']:.2f})"
            for length in lengths
        ]
        assert " | ".join(shown) in text, case
