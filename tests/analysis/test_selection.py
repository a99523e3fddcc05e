"""Which checkpoint a number is read at is a choice of its own: it trains and tests nothing anew."""

import pandas as pd
import pytest
import yaml
from suites import CATALOGUE, SUITE, suite_with, table_of

from bench.analysis.claim_questions import questions_of
from bench.analysis.claim_values import Numbers
from bench.analysis.readings import job_rows, read_entry
from bench.analysis.reported import COLUMNS, load_reported
from bench.analysis.tables import long_table
from bench.analysis.verdicts import verdict_of
from bench.errors import SpecError
from bench.work.cells import make_cell
from bench.work.claim import Comparison
from bench.work.jobs import make_job
from bench.work.plan import all_jobs, jobs_of
from bench.work.renderings import Rendering
from bench.work.suite import Suite

TASK = "hopper-medium"
ARTIFACT = table_of(
    [
        {"tasks": [TASK], "methods": ["dema"], "metrics": ["normalised_score", "parameters"],
         "settings": {"reading": ["text", "text+checkpoint"]}},
        {"tasks": [TASK], "methods": ["dema"], "metrics": ["normalised_score"],
         "settings": {"selection": "mean-of-last-3"}},
    ],
    rows="selection",
)  # fmt: skip
# The scores of each seed at the checkpoints 10 to 40: the best one is not the last.
SCORES = {0: [10.0, 50.0, 30.0, 10.0], 1: [20.0, 30.0, 70.0, 40.0]}
SHOWN = {"last": 25.0, "best": 60.0, "mean-of-last-3": (30.0 + 140 / 3) / 2}


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """The suite with an artifact that reads one cell at several checkpoints."""
    paper = tmp_path_factory.mktemp("lab") / "papers" / "mine"
    paper.mkdir(parents=True)
    (paper / "paper.yaml").write_text("title: Mine\nfull_title: Mine\norder: 9\nown: true\n")
    (paper / "table01.yaml").write_text(yaml.safe_dump(ARTIFACT))
    return Suite.open(papers=str(paper.parents[1]))


@pytest.fixture
def recorded(write_record):
    """Writes the scores above as the evaluations of an entry."""

    def write(entry):
        jobs = jobs_of(entry, "quick")
        for job in jobs:
            scores = SCORES[job.seed]
            write_record(job, [(entry.metric, 10 * (at + 1), 0.0, score) for at, score in enumerate(scores)])
        return jobs

    return write


def entries_of(suite, metric, artifact="mine_table01"):
    rendering = Rendering(suite, "quick", artifact)
    return {entry.cell.slug: entry for entry in rendering.entries if entry.metric == metric}


def test_cells_that_differ_in_it_alone_are_made_once(suite):
    entries = entries_of(suite, "normalised_score")
    assert list(entries) == ["default", "selection=best", "selection=mean-of-last-3"]
    assert len({tuple(jobs_of(entry, "quick")) for entry in entries.values()}) == 1
    for tier in ("quick", "cpu"):
        plain = {job.key: job.fingerprint for job in all_jobs(SUITE, tier)}
        assert {job.key: job.fingerprint for job in all_jobs(suite, tier)} == plain


@pytest.mark.parametrize("reading", ["text+checkpoint", "code+checkpoint"])
def test_a_run_under_its_choice_has_the_jobs_of_one_without_it(reading):
    base = reading.partition("+")[0]
    with_it, without = Suite.open(reading=reading), Suite.open(reading=base)
    assert [(job.key, job.fingerprint) for job in all_jobs(with_it, "quick")] == [
        (job.key, job.fingerprint) for job in all_jobs(without, "quick")
    ]


@pytest.mark.parametrize("stage", ["train", "evaluate", "attend", "intervene", "probe"])
def test_no_stage_of_a_cell_is_another_job_for_it(stage):
    usual = make_job(SUITE, stage, "quick", make_cell(CATALOGUE, TASK, "dema", {}), 0)
    best = make_job(SUITE, stage, "quick", make_cell(CATALOGUE, TASK, "dema", {"selection": "best"}), 0)
    assert (best.key, best.options, best.record) == (usual.key, usual.options, usual.record)
    assert "selection" not in usual.options


def test_the_number_shown_is_the_one_at_the_checkpoint_asked_for(suite, recorded):
    entries = entries_of(suite, "normalised_score")
    recorded(entries["default"])
    table = long_table(
        Rendering(suite, "quick", "mine_table01"),
        [read_entry(entry, "quick") for entry in entries.values()],
        load_reported(CATALOGUE, CATALOGUE.reported),
    )
    assert dict(zip(table["row"], table["ours"], strict=True)) == pytest.approx(SHOWN)
    assert table["reading"].tolist() == ["text", "text+checkpoint", "text"]


def test_a_count_is_the_same_at_every_checkpoint(suite, write_record):
    entries = entries_of(suite, "parameters")
    (job,) = jobs_of(entries["default"], "quick")
    write_record(job, [("parameters", 0, 0.0, 12345.0)])
    assert [read_entry(entry, "quick").summary.mean for entry in entries.values()] == [12345.0, 12345.0]


@pytest.mark.parametrize(
    ("reading", "wanted"),
    [("text", "last"), ("text+checkpoint", "best"), ("code", "best"), ("code+checkpoint", "last")],
)
def test_the_reading_of_a_run_says_at_which_checkpoint_scores_are_read(reading, wanted, recorded):
    suite = Suite.open(reading=reading)
    entry = next(
        entry
        for entry in Rendering(suite, "quick", "dema_table06").entries
        if (entry.cell.task, entry.cell.method) == (TASK, "dema") and not entry.missing
    )
    recorded(entry)
    found = read_entry(entry, "quick")
    assert found.summary.mean == pytest.approx(SHOWN[wanted])
    printed = {"artifact": "dema_table06", "task": TASK, "method": "dema", "settings": "default",
               "metric": "normalised_score", "value": "20", "confidence": "printed"}  # fmt: skip
    reported = pd.DataFrame([dict.fromkeys(COLUMNS, "") | printed])
    assert verdict_of(found, "quick", reported).difference == pytest.approx(SHOWN[wanted] - 20)


def test_a_claim_is_tested_at_the_checkpoints_of_its_sides(suite, recorded):
    cells = pd.concat(map(job_rows, recorded(entries_of(suite, "normalised_score")["default"])))
    best = {"method": "dema", "settings": {"reading": "text+checkpoint"}}
    comparison = Comparison.model_validate({
        "label": "best over last", "tasks": [TASK], "metric": "normalised_score", "first": best,
        "second": {"method": "dema"}, "expect": "more", "smallest": 0.0,
    })  # fmt: skip
    (found,) = questions_of(Numbers(suite.catalogue, cells), comparison, {})
    assert found.mean == pytest.approx(SHOWN["best"] - SHOWN["last"])


def test_a_tier_that_sets_it_is_refused():
    tier = """
title: t
budget: reduced
ceilings: {}
budgets:
  - {label: all, tasks: any, methods: any, stages: [train], core_seconds: {train: 1},
     options: {selection: best}}
"""
    with pytest.raises(SpecError, match=r"budget 'all': key options: selection is how a number is read"):
        suite_with(quick=tier)
