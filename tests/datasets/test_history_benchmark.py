"""The benchmark of the learner runs every dark room, and its file holds what the documentation repeats."""

from __future__ import annotations

import csv

from suites import CATALOGUE

from bench.files import ROOT
from benchmarks.histories import LARGE_STEPS, WORLDS, measured


def test_every_dark_room_is_measured():
    rooms = {name for name, task in CATALOGUE.tasks.items() if task.family == "gridworld"}
    assert {*WORLDS, *(f"large-{world}" for world in WORLDS)} == rooms


def test_a_measurement_has_its_time_and_what_was_reached(capsys):
    seconds, share, solved = measured("darkroom", 20_000, 2)
    assert (seconds.case, seconds.unit, seconds.repeats) == ("darkroom 20000", "s", 2)
    assert 0 < seconds.best <= seconds.median
    assert 0 <= solved.best <= 1
    assert 0 < share.best <= 1
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_documentation_shows_the_measured_shares():
    with (ROOT / "results" / "benchmarks" / "histories.csv").open(newline="") as file:
        best = {(row["case"], row["implementation"]): float(row["best"]) for row in csv.DictReader(file)}
    text = (ROOT / "docs" / "data.md").read_text()
    for world in WORLDS:
        lengths = [f"large-{world} {steps}" for steps in LARGE_STEPS]
        shown = [
            f"{best[length, 'last tenth over optimum']:.2f} ({best[length, 'solved']:.2f})"
            for length in lengths
        ]
        assert " | ".join(shown) in text, world
