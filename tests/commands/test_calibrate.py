"""What a budget costs, measured by a few updates: every stage of its cell, beside what is planned."""

from __future__ import annotations

import csv

import pytest
from suites import CATALOGUE

from bench.commands.calibrate import COLUMNS, main


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Budget label, and settings -> the rows measured of it in an empty working folder."""
    monkeypatch.chdir(tmp_path)

    def measured(label, **settings):
        given = {
            "tier": "quick",
            "must": False,
            "cells": 1,
            "seconds": 0.05,
            "output": "table.csv",
        } | settings
        main(label=label, **given)
        with (tmp_path / "table.csv").open() as file:
            assert file.readline().strip() == COLUMNS
            return list(csv.DictReader(file, COLUMNS.split(",")))

    return measured


def test_a_cell_is_measured_stage_by_stage(table):
    rows = table("T-maze to 30 steps, DT")
    assert [row["stage"] for row in rows] == ["dataset", "train", "evaluate"]
    planned = budget_of("T-maze to 30 steps, DT").core_seconds
    for row in rows[1:]:
        assert row["cell"] == "tmaze-passive-10/dt/default"
        assert int(row["jobs"]) == 2, "of both mazes"
        assert float(row["planned"]) == planned[row["stage"]]
        assert float(row["measured"]) > 0


def test_several_cells_are_spread_over_the_budget(table):
    rows = table("T-maze to 30 steps, DM-H, either c", cells=2)
    assert len({row["cell"] for row in rows if row["stage"] == "train"}) == 2


def test_a_label_that_no_budget_has_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main("quick", "no such label")
    assert stopped.value.code == 2
    assert "no budget with 'no such label' in its label has a job" in capsys.readouterr().err


def budget_of(label):
    """The quick tier's budget of a label."""
    return next(one for one in CATALOGUE.tiers["quick"].budgets if one.label == label)
