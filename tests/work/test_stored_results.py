"""What the committed store of the quick tier shows: real learning, honest labels, one commit."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from suites import SUITE

from bench.work.cells import recorded_cell
from bench.work.entries import entries

ROOT = Path(__file__).resolve().parents[2]
CELLS = pd.read_csv(ROOT / "results" / "stored" / "quick" / "cells.csv", keep_default_na=False)
MINIMUM = Path(__file__).with_name("filled_minimum.csv")


def stored_value(entry):
    """Whether the store holds a number for an entry of an artifact, or all that it is derived from."""
    if entry.parts:
        return all(stored_value(part) for part in entry.parts)
    # Cells that differ in how records are read alone share one.
    cell = recorded_cell(SUITE.catalogue, entry.stage, entry.cell)
    rows = CELLS[
        (CELLS["task"] == cell.task)
        & (CELLS["method"] == cell.method)
        & (CELLS["settings"] == cell.slug)
        & (CELLS["metric"] == entry.metric)
    ]
    return (rows["value"] != "").any()


# DM-H learns rooms in this tier's time with simplified tokens alone, which its settings name.
SIMPLIFIED = "local_tokens=merged,long_tokens=rich"


@pytest.mark.parametrize(
    ("method", "settings"), [("ad-transformer", "default"), ("ad-mamba", "default"), ("dmh", SIMPLIFIED)]
)
def test_each_method_gains_at_least_3_return_in_context_on_unseen_goals(method, settings):
    rows = CELLS[
        (CELLS["task"] == "darkroom")
        & (CELLS["method"] == method)
        & (CELLS["settings"] == settings)
        & (CELLS["metric"] == "episode_return")
    ]
    by_episode = rows.assign(value=rows["value"].astype(float)).groupby("index")["value"].mean()
    assert rows["seed"].nunique() == 3
    assert by_episode[20.0] - by_episode[1.0] >= 3.0


def test_dema_has_a_quarter_of_the_parameters_of_dt_at_the_width_of_its_own_code():
    rows = CELLS[(CELLS["task"] == "hopper-medium") & (CELLS["metric"] == "parameters")]
    counts = rows.set_index(["method", "settings"])["value"].astype(float)
    assert 0.22 <= counts["dema", "default"] / counts["dt", "embedding_dim=128"] <= 0.27


@pytest.mark.parametrize("row", list(csv.DictReader(MINIMUM.open())), ids=lambda row: row["artifact"])
def test_stored_numbers_fill_each_artifact_as_far_as_was_committed(row):
    ours = [entry for entry in entries(SUITE, row["artifact"], "quick") if not entry.missing]
    filled = sum(not entry.stage or stored_value(entry) for entry in ours)
    assert filled >= int(row["filled"])


def test_every_stored_row_says_what_it_rests_on():
    assert set(CELLS["status"]) == {"ok"}
    assert set(CELLS["budget"]) == {"reduced"}
    assert set(CELLS.loc[CELLS["task"] == "hopper-medium", "data_source"]) == {"stand-in"}
    assert (CELLS["git_commit"] != "").all()
    assert not CELLS["git_commit"].str.endswith("+").any()
