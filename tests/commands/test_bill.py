"""What a run cost: counted from records, summed by artifact, held against what was planned."""

import json
from pathlib import Path

import pytest
from records import write_record
from suites import SUITE

from bench.analysis.costs import planned_hours
from bench.commands.bill import By, bill, main
from bench.work.plan import all_jobs

ROOT = Path(__file__).resolve().parents[2]


def write_cost(job, **changes):
    record = {
        "facts": {"device": "cpu"}, "seconds": 20.0, "cpu_seconds": 10.0,
        "start_cpu_seconds": 2.0, "peak_memory_mib": 100.0,
    }  # fmt: skip
    job.folder.mkdir(parents=True, exist_ok=True)
    job.table.write_text("metric,step,index,value\n")
    write_record(job, **(record | changes))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A working folder in which every job of the quick tier took 10 processor seconds."""
    monkeypatch.chdir(tmp_path)
    jobs = all_jobs(SUITE, "quick")
    for job in jobs:
        write_cost(job)
    return jobs


def test_a_job_of_several_artifacts_counts_in_each_and_once_in_the_total(run):
    lines, _ = bill(SUITE, "quick", By.ARTIFACT)
    assert lines["total"].jobs == len(run)
    assert lines["total"].core == pytest.approx(len(run) * 10 / 3600)
    assert lines["dmh_fig02"].core == pytest.approx(len(all_jobs(SUITE, "quick", ("dmh_fig02",))) * 10 / 3600)
    assert sum(line.jobs for name, line in lines.items() if name != "total") > len(run)


@pytest.mark.parametrize("by", [By.STAGE, By.BUDGET])
def test_stages_and_budgets_share_the_jobs_out(run, by):
    lines, _ = bill(SUITE, "quick", by)
    total = lines.pop("total")
    assert sum(line.jobs for line in lines.values()) == total.jobs == len(run)
    assert sum(line.disk for line in lines.values()) == total.disk


def test_the_estimate_is_of_the_jobs_that_have_a_record(run):
    run[-1].record.unlink()
    total = bill(SUITE, "quick", By.STAGE)[0]["total"]
    assert (total.jobs, total.billed) == (len(run), len(run) - 1)
    assert total.estimated == pytest.approx(planned_hours(run[:-1]))
    assert total.ratio == pytest.approx(10 * (len(run) - 1) / 3600 / planned_hours(run[:-1]))


def test_a_job_on_a_gpu_is_compared_by_how_long_it_held_it(run):
    trained = next(job for job in run if job.stage == "train")
    write_cost(trained, facts={"device": "NVIDIA H200"}, seconds=7200.0)
    total = bill(SUITE, "quick", By.STAGE)[0]["total"]
    assert total.gpu == pytest.approx(2.0)
    assert total.ratio == pytest.approx((2.0 + (len(run) - 1) * 10 / 3600) / planned_hours(run))


def test_memory_is_the_largest_jobs_and_disk_counts_checkpoints(run):
    trained = next(job for job in run if job.stage == "train")
    before = bill(SUITE, "quick", By.STAGE)[0]
    write_cost(trained, peak_memory_mib=900.0)
    kept = trained.folder / "checkpoints" / "step-0000001.pt"
    kept.parent.mkdir()
    kept.write_bytes(bytes(5000))
    after = bill(SUITE, "quick", By.STAGE)[0]
    assert (after["train"].memory_mib, after["evaluate"].memory_mib) == (900.0, 100.0)
    assert after["train"].disk - before["train"].disk == pytest.approx(5000, abs=2)
    assert after["evaluate"].disk == before["evaluate"].disk


def test_a_damaged_record_is_not_billed(run):
    run[0].record.write_text("{")
    assert bill(SUITE, "quick", By.STAGE)[0]["total"].billed == len(run) - 1


def test_the_page_says_what_starting_the_processes_took(run, capsys):
    main("quick", By.ARTIFACT)
    said = " ".join(capsys.readouterr().out.split())
    assert f"took {2 * len(run) / 3600:.3f} core-hours more, by {len(run)} records" in said


def test_nothing_to_bill_is_said_with_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main("quick")
    assert stopped.value.code == 2
    assert "no job of the quick tier has a record yet" in (said := capsys.readouterr().err)
    assert "Run: snakemake all --config tier=quick" in said


def test_the_quick_tiers_plan_agrees_with_the_stored_run_within_30_percent():
    """In processor seconds: others may have had a share of the machine."""
    stored = (ROOT / "results/stored/quick/records.jsonl").read_text().splitlines()
    seconds = [json.loads(record)["cpu_seconds"] for record in stored]
    planned = all_jobs(SUITE, "quick")
    assert len(seconds) == len(planned)
    assert sum(seconds) / 3600 == pytest.approx(planned_hours(planned), rel=0.3)
