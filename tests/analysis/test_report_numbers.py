"""How the numbers of a made-up run stand on the pages: seeds one by one, settings apart from results."""

import json
import re

import pytest
from report_cases import printed, report_of, suite_of

from bench.commands import summary
from bench.work.plan import all_jobs
from bench.work.renderings import Rendering
from bench.work.suite import Suite

CELLS = [
    {"tasks": ["hopper-medium"], "methods": ["dema", "dt"], "metrics": ["normalised_score"]},
    {"tasks": ["hopper-medium"], "methods": ["dema"], "options": ["d_conv", "d_state", "expand"]},
]  # fmt: skip
PRINTED = {"normalised_score": "68.4", "d_conv": "4", "d_state": "3"}


@pytest.fixture
def report(tmp_path, write_record):
    """The report of a run of two seeds, of which DT's second ended without a number."""
    suite = suite_of(tmp_path, CELLS)
    for job in all_jobs(suite, "quick"):
        scores = [("normalised_score", 7, 0.0, 25.5 + 2.6 * job.seed)] if job.stage == "evaluate" else []
        lost = job.stage == "evaluate" and job.cell.method == "dt" and job.seed == 1
        write_record(job, scores, "diverged: loss is nan" if lost else "ok")
    return report_of(suite, printed(**PRINTED))


def text_of(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_two_seeds_stand_one_by_one_and_a_lost_one_is_said(report):
    text = text_of(report.page("mine"))
    assert "25.5, 28.1 (2 seeds)" in text
    assert "25.5 (1 of 2 seeds)" in text
    assert "n=2" not in text


def test_settings_are_counted_apart_from_results(report):
    assert "Of what the papers print, 0 of 1 results match; 1 of 2 settings agree." in text_of(
        report.page("index")
    )
    text = text_of(report.page("mine"))
    assert "Results stand-in 1 unreported 1 Settings agrees 1 disagrees 1 unreported 1" in text


def test_a_sidecar_and_the_summary_of_a_tier_count_them_apart_too(report, monkeypatch, capsys):
    sidecar = json.loads(Rendering(report.suite, "quick", "mine_table01").outputs[-1].read_text())
    assert (sidecar["results"], sidecar["results_wanted"], sidecar["settings"]) == (2, 2, 3)
    monkeypatch.setattr(Suite, "from_environment", lambda: report.suite)
    summary.main("quick")
    assert "0 of 1 results match; 1 of 2 settings agree" in " ".join(capsys.readouterr().out.split())


def test_a_single_checkpoint_is_not_compared_with_itself(report):
    assert "other checkpoints" not in report.page("mine")
