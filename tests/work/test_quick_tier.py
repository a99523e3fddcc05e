"""Promises of the quick tier: its ceilings hold, and what it fills never becomes less."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest
from suites import CATALOGUE, SUITE

from bench.work.entries import entries
from bench.work.plan import all_jobs, jobs_of

MINIMUM = Path(__file__).with_name("filled_minimum.csv")


def filled(artifact):
    """How many of an artifact's entries the quick tier gives a number."""
    return sum(not entry.missing for entry in entries(SUITE, artifact, "quick"))


def test_the_plan_stays_under_every_ceiling():
    tier = CATALOGUE.tier("quick")
    spent = defaultdict(float)
    for job in all_jobs(SUITE, "quick"):
        spent[job.resolved.budget.ceiling] += job.core_seconds
    assert None not in spent, "a budget of the quick tier counts towards no ceiling"
    assert {name: seconds for name, seconds in spent.items() if seconds > tier.ceilings[name]} == {}
    assert sum(tier.ceilings.values()) <= 2000, "seventeen minutes of two cores"


def test_every_artifact_has_a_committed_minimum():
    with MINIMUM.open() as file:
        assert {row["artifact"] for row in csv.DictReader(file)} == set(CATALOGUE.artifacts)


@pytest.mark.parametrize("row", list(csv.DictReader(MINIMUM.open())), ids=lambda row: row["artifact"])
def test_filled_entries_only_rise(row):
    assert filled(row["artifact"]) >= int(row["filled"])


@pytest.mark.parametrize(
    "artifact", ["dmh_fig02", "dmh_table04", "dema_table07", "dema_fig02", "dema_table02"]
)
def test_the_first_artifacts_have_their_darkroom_and_hopper_cells(artifact):
    first = {"darkroom": ("ad-transformer", "ad-mamba", "dmh"), "hopper-medium": ("dt", "dema")}
    built = [e for e in entries(SUITE, artifact, "quick") if e.cell.method in first.get(e.cell.task, ())]
    assert built
    missing = [e for e in built if e.missing]
    if artifact == "dmh_fig02":
        # In Darkroom DM-H learns with simplified tokens alone in this tier's time.
        assert [(e.cell.method, e.cell.settings) for e in missing] == [("dmh", ())]
        assert any(
            e.cell.method == "dmh" and e.label == "DM-H, simplified tokens" for e in built if not e.missing
        )
    else:
        assert missing == []


@pytest.mark.parametrize(
    "artifact", [name for name, one in CATALOGUE.artifacts.items() if one.layout.kind == "scaling"]
)
def test_lines_of_one_panel_are_measured_with_one_batch(artifact):
    batches = defaultdict(set)
    for entry in entries(SUITE, artifact, "quick"):
        if not entry.missing and entry.stage == "probe":
            (job,) = jobs_of(entry, "quick")
            batches[entry.cell.task, entry.metric].add(job.options["probe_batch_size"])
    assert all(len(found) == 1 for found in batches.values())
