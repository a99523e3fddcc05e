"""REPRODUCED.md: one line a finished run of one clean commit, and none for anything else."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from records import reseal, write_record
from suites import CATALOGUE, SUITE

import bench.commands.reproduced as reproduced
from bench.work.plan import all_jobs

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "0123456789ab"


NUMBERS = ["metric", "step", "index", "value"]


@pytest.fixture(scope="module")
def stored():
    """The stored quick run, as (stage, task, method, settings, seed) -> its numbers."""
    metrics = CATALOGUE.metrics
    rows = pd.read_csv(ROOT / "results/stored/quick/cells.csv")
    rows = rows[rows["metric"].isin(metrics)].copy()
    rows["stage"] = [metrics[name].stage for name in rows["metric"]]
    return dict(iter(rows.groupby(["stage", "task", "method", "settings", "seed"])))


@pytest.fixture
def run(tmp_path, monkeypatch, stored):
    """A working folder with a finished quick run that has the stored numbers, and a copy of the page."""
    monkeypatch.chdir(tmp_path)
    jobs = all_jobs(SUITE, "quick")
    for number, job in enumerate(jobs):
        job.folder.mkdir(parents=True, exist_ok=True)
        key = (job.stage, job.cell.task, job.cell.method, job.cell.slug, job.seed)
        numbers = stored.get(key, pd.DataFrame(columns=NUMBERS))
        numbers[NUMBERS].to_csv(job.table, index=False)
        record = {
            "facts": {}, "git_commit": COMMIT,
            "seconds": 72.0, "cpu_seconds": 36.0, "started": f"2026-01-0{1 + number % 3}T00:00:00+00:00",
            "platform": "A processor", "python": "3.11.7",
            "versions": dict.fromkeys(reproduced.VERSIONS, "1.0"),
        }  # fmt: skip
        write_record(job, **record)
    shutil.copy(ROOT / "REPRODUCED.md", tmp_path / "REPRODUCED.md")
    monkeypatch.setattr(reproduced, "PAGE", tmp_path / "REPRODUCED.md")
    return jobs


def change(job, **changes):
    reseal(job.record, **changes)


def refused(capsys, *words, by="A. Name"):
    """The command must stop with these words and leave the page as it was."""
    before = reproduced.PAGE.read_text()
    with pytest.raises(SystemExit) as stopped:
        reproduced.main("quick", by)
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert all(word in said for word in words), said
    assert reproduced.PAGE.read_text() == before


def test_a_finished_run_adds_one_line_and_the_same_run_no_second(run, capsys):
    before = reproduced.PAGE.read_text()
    reproduced.main("quick", "A. Name")
    page = reproduced.PAGE.read_text()
    added = page.removeprefix(before).split(" | ")
    assert page.startswith(before)
    assert len(added) == len(reproduced.COLUMNS)
    assert added[1:5] == ["2026-01-03", "A. Name", f"`{COMMIT}`", "quick"]
    assert f"{len(run)} ok | {len(run) * 72 / 3600:.2f} | {len(run) * 36 / 3600:.2f}" in page
    assert "supported" in added[-2]
    assert "alarm" in added[-1]
    reproduced.main("quick", "A. Name")
    assert "stands in REPRODUCED.md already" in capsys.readouterr().out
    assert reproduced.PAGE.read_text() == page


def test_another_run_adds_another_line(run):
    reproduced.main("quick", "A. Name")
    change(run[0], started="2026-02-01T00:00:00+00:00")
    reproduced.main("quick", "B. Name")
    assert reproduced.PAGE.read_text().count(f"| `{COMMIT}` | quick |") == 2


def test_an_unfinished_run_is_refused(run, capsys):
    run[-1].record.unlink()
    refused(capsys, "1 of 204 jobs are missing", "Run: snakemake all --config tier=quick")


def test_a_damaged_record_is_refused(run, capsys):
    run[3].record.write_text("{")
    refused(capsys, "missing, damaged or out of date", f"{run[3].stage} of {run[3].cell.key}")


def test_a_broken_job_is_refused(run, capsys):
    change(run[5], status="failed: KeyError: x")
    refused(capsys, str(run[5].record), "failed: KeyError: x", "retry=true")


@pytest.mark.parametrize("commit", [f"{COMMIT}+", ""])
def test_changes_in_no_commit_are_refused(run, capsys, commit):
    change(run[7], git_commit=commit)
    refused(capsys, "key git_commit", "changes that are in no commit", "Commit your changes")


def test_a_run_of_two_commits_is_refused(run, capsys):
    change(run[7], git_commit="ba9876543210")
    refused(capsys, "made at 2 commits (0123456789ab, ba9876543210)")


def test_a_damaged_page_is_refused(run, capsys):
    reproduced.PAGE.write_text(reproduced.PAGE.read_text() + "\nA sentence behind the table.\n")
    refused(capsys, "REPRODUCED.md: its table is not at the end", "git checkout REPRODUCED.md")


@pytest.mark.parametrize("name", ["", "A | B", "two\nlines"])
def test_a_name_that_would_break_the_table_is_refused(run, capsys, name):
    refused(capsys, "option --by", by=name)
