"""Whether a run is finished: every job there, made by the code at hand, and none broken."""

import pytest
from records import write_record
from suites import SUITE

from bench.analysis.completeness import finished_jobs
from bench.commands.store import promotable, promoted
from bench.errors import UserError
from bench.work.plan import all_jobs
from bench.work.stored import Store


def write_made(job, **changes):
    job.folder.mkdir(parents=True, exist_ok=True)
    job.table.write_text("metric,step,index,value\n")
    write_record(job, **changes)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The jobs of a finished quick run in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    jobs = all_jobs(SUITE, "quick")
    for job in jobs:
        write_made(job)
    return jobs


def test_a_finished_run_is_all_of_its_jobs_upstream_first(run):
    assert finished_jobs(SUITE, "quick") == promotable(SUITE, "quick", partial=False) == run


def test_what_a_machine_does_not_have_leaves_a_run_finished(run):
    write_made(run[2], status="unavailable: no GPU")
    assert finished_jobs(SUITE, "quick") == run


def test_a_job_of_other_code_is_named_with_what_to_do(run):
    write_made(run[6], fingerprint="another")
    first = f"{run[6].stage} of {run[6].cell.key} seed {run[6].seed}"
    with pytest.raises(UserError, match="so this run is not finished") as refused:
        finished_jobs(SUITE, "quick")
    assert f"results/quick: 1 of {len(run)} jobs are missing, damaged or out of date" in str(refused.value)
    assert first in str(refused.value)
    assert str(refused.value).endswith("Run: snakemake all --config tier=quick")
    with pytest.raises(UserError, match=r"tier=quick, or promote what there is with --partial$"):
        promotable(SUITE, "quick", partial=False)


@pytest.mark.parametrize("status", ["failed: KeyError: x", "skipped: what it builds on is failed"])
def test_a_broken_job_is_named_with_its_record(run, status):
    write_made(run[6], status=status)
    with pytest.raises(UserError, match=f"1 of {len(run)} jobs did not end well") as refused:
        finished_jobs(SUITE, "quick")
    assert f"{run[6].record}: key status: " in str(refused.value)
    assert status in str(refused.value)
    assert "snakemake all --config tier=quick retry=true" in str(refused.value)


def test_part_of_a_run_can_be_promoted_without_what_is_not_finished_or_broken(run):
    write_made(run[3], fingerprint="another")
    write_made(run[6], status="failed: KeyError: x")
    run[-1].record.unlink()
    assert promotable(SUITE, "quick", partial=True) == [
        job for job in run if job not in (run[3], run[6], run[-1])
    ]


@pytest.mark.parametrize("status", ["diverged: loss is nan after 7 updates", "oom"])
def test_a_training_without_a_number_and_its_skipped_evaluation_leave_a_run_finished(run, status):
    evaluation = next(job for job in run if job.stage == "evaluate")
    write_made(evaluation.upstream[0], status=status)
    write_made(evaluation, status=f"skipped: its training is {status}")
    assert (
        finished_jobs(SUITE, "quick")
        == promotable(SUITE, "quick", partial=False)
        == promotable(SUITE, "quick", partial=True)
        == run
    )


def test_what_was_skipped_for_want_of_its_training_is_broken_and_not_promoted(run):
    evaluation = next(job for job in run if job.stage == "evaluate")
    write_made(evaluation, status="skipped: its training is not made")
    with pytest.raises(UserError, match="did not end well"):
        finished_jobs(SUITE, "quick")
    assert evaluation not in promotable(SUITE, "quick", partial=True)


def test_a_store_without_rows_of_a_record_it_has_is_named(run, monkeypatch):
    job = next(job for job in run if job.stage == "probe")
    job.record.unlink()
    monkeypatch.setattr(Store, "cells", lambda store, tier: {})
    with pytest.raises(UserError, match=r"results/stored/quick/cells.csv: no row of \w+ of .* git checkout"):
        promoted(SUITE, "quick", promotable(SUITE, "quick", partial=True))
