"""A machine that was busy while something was timed: how a record tells, and where that is said."""

import re

import pandas as pd
import pytest
from records import write_record
from suites import CATALOGUE, SUITE

from bench.analysis.readings import job_rows
from bench.analysis.regression import Held, Key, compare
from bench.analysis.regression_page import Notes, page_of, summary_of
from bench.analysis.report.numbers import numbers_of
from bench.analysis.report.pages import ArtifactShown, Report
from bench.analysis.report.runs import Records
from bench.analysis.reported import load_reported
from bench.commands.health import main as health
from bench.work.busy import BUSY, wall_over_processor, was_busy
from bench.work.cells import make_cell
from bench.work.jobs import Job
from bench.work.plan import all_jobs
from bench.work.record import COLUMNS, Record
from bench.work.renderings import Rendering
from bench.work.stored import CELL_COLUMNS, LOAD, STORED, TRAINED, Store, seal_store

ROWS = [
    ("parameters", 0, 0.0, 10.0),
    ("forward_milliseconds", 0, 0.0, 2.0),
    ("training_step_milliseconds", 0, 0.0, 5.0),
    ("peak_memory_mib", 0, 0.0, 3.0),
]
LOADED = {"timed_wall_seconds": 4.0, "timed_processor_seconds": 2.0}
JOB = Job(SUITE, "probe", "quick", make_cell(CATALOGUE, "hopper-medium", "dema", {}), 0)


def made(facts, seconds=6.0, cpu_seconds=5.9, **more):
    return Record(status="ok", seconds=seconds, cpu_seconds=cpu_seconds, facts=facts, **more)


@pytest.fixture
def probed(tmp_path, monkeypatch):
    """A run that holds the probe of one cell, timed on a busy machine."""
    monkeypatch.chdir(tmp_path)
    JOB.folder.mkdir(parents=True)
    pd.DataFrame(ROWS, columns=list(COLUMNS)).to_csv(JOB.table, index=False)
    write_record(JOB, **made(LOADED).as_dict())
    return tmp_path


def test_what_was_timed_counts_and_not_what_came_before_it():
    assert wall_over_processor(made(LOADED)) == 2.0
    assert was_busy(made(LOADED))
    assert not was_busy(made(LOADED | {"timed_wall_seconds": 2.0 * BUSY}))


def test_of_other_work_the_whole_counts():
    assert wall_over_processor(made({}, seconds=3.0, cpu_seconds=2.0)) == 1.5


@pytest.mark.parametrize("record", [
    made({}, cpu_seconds=None), made({}, cpu_seconds=0.0), made({}, gpu="H"), made({"device": "H"}),
])  # fmt: skip
def test_what_no_processor_was_timed_for_is_unknown(record):
    assert wall_over_processor(record) is None
    assert not was_busy(record)


def test_the_tidy_numbers_say_it(probed):
    rows = job_rows(JOB)
    assert list(rows.columns) == CELL_COLUMNS
    assert set(rows[LOAD]) == {2.0}


def test_a_store_from_before_it_was_recorded_reads_as_unknown(tmp_path):
    folder = tmp_path / "quick"
    folder.mkdir()
    text = pd.read_csv(STORED / "quick" / "cells.csv", dtype=str, keep_default_na=False, nrows=5)
    text.drop(columns=[LOAD, TRAINED], errors="ignore").to_csv(folder / "cells.csv", index=False)
    seal_store(folder)
    (rows, *_) = Store(tmp_path).cells("quick").values()
    assert rows[[LOAD, TRAINED]].isna().all().all()


def test_health_names_the_probes_that_were_timed_on_a_busy_machine(probed):
    for job in all_jobs(SUITE, "quick"):
        if job != JOB:
            write_record(job)
    health("quick")
    said = (probed / "results/quick/health.txt").read_text()
    assert "busy machine: probe of hopper-medium/dema/default seed 0, wall over processor 2.00" in said
    assert said.count("busy machine") == 1


@pytest.mark.parametrize(("side", "name"), [(0, "the run"), (1, "the store")])
def test_regress_says_whose_times_were_taken_on_a_busy_machine_and_raises_no_alarm(side, name):
    rows = pd.DataFrame(ROWS[:1], columns=list(COLUMNS))
    key, training = (Key(stage, "hopper-medium", "dema", "default", 0) for stage in ("probe", "train"))
    sides = [{key: Held(made({}), rows), training: Held(made({}), rows)} for _ in range(2)]
    sides[side] = {one: Held(made(LOADED), rows) for one in (key, training)}
    compared = compare(CATALOGUE, *sides, {key, training}, lambda key: True)
    assert compared.findings == []
    line = f"times of {name} taken on a busy machine (wall over processor time above 1.3), not compared: "
    notes = Notes("quick", {}, {}, {}, [], "regress")
    for text in ("\n".join(summary_of(compared, notes)), page_of(compared, notes)):
        assert f"{line}hopper-medium/dema/default seed 0, probe" in text
        assert "train" not in text


@pytest.fixture
def report(probed):
    """The report on that run, with Figure 2 of DeMa alone."""
    report = object.__new__(Report)
    report.suite, report.tier, report.records = SUITE, "quick", Records("quick")
    report.jobs, report.claims, report.findings = [JOB], [], []
    drawn = Rendering(SUITE, "quick", "dema_fig02")
    numbers = numbers_of(drawn, load_reported(CATALOGUE, CATALOGUE.reported), report.records)
    report.artifacts = [ArtifactShown(drawn.name, drawn.artifact, "figure", numbers, None, "snakemake", [])]
    return report


def test_the_report_marks_times_and_neither_counts_nor_memory(report):
    busy = {one.metric: one.busy for one in report.artifacts[0].numbers if one.ours}
    assert busy == {
        "forward_milliseconds": "2.00", "training_step_milliseconds": "2.00", "peak_memory_mib": "",
    }  # fmt: skip
    page = report.page("dema")
    marked = re.findall(r'<span class="n">([\d.]+)</span>(?:(?!</td>).)*?busy machine', page)
    assert marked == ["2.00", "5.00"]
    assert "wall time was 2.00 times the processor time" in page
