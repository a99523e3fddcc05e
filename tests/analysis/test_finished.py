"""Whether a run is finished: every job there, made by the code at hand, and none broken."""

import json

import pytest

from bench.analysis.finished import finished_jobs
from bench.spec.errors import UserError
from bench.spec.jobs import all_jobs
from bench.store import promotable


def write_record(job, **changes):
    job.folder.mkdir(parents=True, exist_ok=True)
    job.table.write_text("metric,step,index,value\n")
    job.record.write_text(json.dumps({"status": "ok", "fingerprint": job.fingerprint} | changes))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The jobs of a finished quick run in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_SOURCE", raising=False)
    jobs = all_jobs("quick")
    for job in jobs:
        write_record(job)
    return jobs


def test_a_finished_run_is_all_of_its_jobs_upstream_first(run):
    assert finished_jobs("quick") == promotable("quick", partial=False) == run


def test_what_a_machine_does_not_have_leaves_a_run_finished(run):
    write_record(run[2], status="unavailable: no GPU")
    assert finished_jobs("quick") == run


def test_a_job_of_other_code_is_named_with_what_to_do(run):
    write_record(run[6], fingerprint="another")
    first = f"{run[6].stage} of {run[6].cell.key} seed {run[6].seed}"
    with pytest.raises(UserError, match="so this run is not finished") as refused:
        finished_jobs("quick")
    assert f"results/quick: 1 of {len(run)} jobs are missing or out of date" in str(refused.value)
    assert first in str(refused.value)
    assert str(refused.value).endswith("Run: snakemake all --config tier=quick")
    with pytest.raises(UserError, match=r"tier=quick, or promote what there is with --partial$"):
        promotable("quick", partial=False)


@pytest.mark.parametrize("status", ["failed: KeyError: x", "skipped: what it builds on is failed"])
def test_a_broken_job_is_named_with_its_record(run, status):
    write_record(run[6], status=status)
    with pytest.raises(UserError, match=f"1 of {len(run)} jobs did not end well") as refused:
        finished_jobs("quick")
    assert f"{run[6].record}: key status: " in str(refused.value)
    assert status in str(refused.value)
    assert "snakemake retry --config tier=quick" in str(refused.value)


def test_part_of_a_run_can_be_promoted_without_what_is_not_finished_or_broken(run):
    write_record(run[3], fingerprint="another")
    write_record(run[6], status="failed: KeyError: x")
    run[-1].record.unlink()
    assert promotable("quick", partial=True) == [job for job in run if job not in (run[3], run[6], run[-1])]
