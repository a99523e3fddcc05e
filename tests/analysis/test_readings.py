"""How a score is read off the records of a cell, and what is said where there is none."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from records import reseal
from suites import CATALOGUE, SUITE

from bench.analysis.readings import job_rows, read_entry, selected
from bench.catalogue.values import defaults
from bench.work.cells import resolve
from bench.work.plan import jobs_of
from bench.work.record import read_record
from bench.work.renderings import Rendering
from bench.work.stored import CELL_COLUMNS


def rows_of(scores):
    """Rows of {seed: {step: [value of each index]}}."""
    return pd.DataFrame(
        [
            {"seed": seed, "step": step, "index": float(index), "value": value}
            for seed, steps in scores.items()
            for step, values in steps.items()
            for index, value in enumerate(values)
        ]
    )


# Seed 0 is best in the middle, seed 1 at its end; checkpoints are not written in order.
SCORES = rows_of(
    {
        0: {30: [4.0, 6.0], 10: [1.0, 1.0], 20: [9.0, 5.0], 40: [2.0, 4.0]},
        1: {10: [8.0, 0.0], 20: [3.0, 3.0], 30: [1.0, 2.0], 40: [7.0, 7.0]},
    }
)


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        ("last", {0: [2.0, 4.0], 1: [7.0, 7.0]}),
        ("best", {0: [9.0, 5.0], 1: [7.0, 7.0]}),
        ("mean-of-last-3", {0: [5.0, 5.0], 1: [11 / 3, 4.0]}),
    ],
)
def test_the_protocol_selects_the_checkpoint(selection, wanted):
    chosen = selected(SCORES.sample(frac=1.0, random_state=0), selection)
    assert list(chosen.columns) == ["seed", "index", "value"]
    found = {seed: group.sort_values("index")["value"].tolist() for seed, group in chosen.groupby("seed")}
    assert found == {seed: pytest.approx(values) for seed, values in wanted.items()}


def test_fewer_than_three_checkpoints_are_averaged_all():
    chosen = selected(rows_of({0: {10: [1.0], 20: [4.0]}}), "mean-of-last-3")
    assert chosen["value"].tolist() == [2.5]


def entry_of(artifact, metric, method):
    """The entry of the quick tier that shows a metric of a method, and that is run."""
    found = [
        entry
        for entry in Rendering(SUITE, "quick", artifact).entries
        if (entry.metric, entry.cell.method) == (metric, method) and not entry.missing
    ]
    return found[0]


CURVE = entry_of("dmh_fig02", "episode_return", "dmh")


def test_a_curve_is_summarised_over_seeds_at_each_index(write_record):
    jobs = jobs_of(CURVE, "quick")
    assert [job.seed for job in jobs] == [0, 1, 2]
    for job in jobs:
        early = [("episode_return", 100, float(index), 99.0) for index in (1, 2)]
        late = [("episode_return", 350, float(index), index * 10.0 + job.seed) for index in (1, 2)]
        write_record(job, [*early, *late, ("last_return", 350, 0.0, -5.0)])
    reading = read_entry(CURVE, "quick")
    assert reading.status == "ok"
    assert reading.curve["index"].tolist() == [1.0, 2.0]
    assert reading.curve["mean"].tolist() == [11.0, 21.0]
    assert reading.curve["n"].tolist() == [3, 3]
    np.testing.assert_allclose(reading.curve["high"] - reading.curve["mean"], 4.30265 / np.sqrt(3), rtol=1e-5)
    assert (reading.summary.mean, reading.summary.n) == (16.0, 3)
    assert reading.seconds == 6.0
    assert reading.fingerprints == ("print-0", "print-1", "print-2")


def test_a_seed_that_failed_is_left_out_and_said(write_record):
    jobs = jobs_of(CURVE, "quick")
    write_record(jobs[0], [("episode_return", 350, 1.0, 4.0)])
    write_record(jobs[1], [], "diverged: loss is nan after 3 updates")
    write_record(jobs[2], [("episode_return", 350, 1.0, 8.0)])
    reading = read_entry(CURVE, "quick")
    assert reading.status == "ok, 2 of 3 seeds"
    assert (reading.summary.mean, reading.summary.n) == (6.0, 2)


def test_why_there_is_no_number(write_record):
    jobs = jobs_of(CURVE, "quick")
    assert read_entry(CURVE, "quick").status == "not-run: no record yet"
    for job in jobs:
        write_record(job, [], "unavailable: no GPU here")
    assert read_entry(CURVE, "quick").status == "unavailable: no GPU here"
    for job in jobs:
        write_record(job, [("last_return", 350, 0.0, 1.0)])
    assert read_entry(CURVE, "quick").status == "not-run: no episode_return in the record"
    assert read_entry(CURVE, "quick").summary is None
    missing = replace(CURVE, missing="cpu tier")
    assert read_entry(missing, "quick").status == "not-run: cpu tier"


def test_a_derived_number_is_the_ratio_of_two_cells(write_record):
    entry = next(
        e for e in Rendering(SUITE, "cpu", "dmh_table04").entries
        if (e.metric, e.cell.task) == ("online_speedup", "hopper-medium")
    )  # fmt: skip
    assert read_entry(entry, "cpu").status == "not-run: no record yet"
    minutes = {"ad-transformer": 280.0, "dmh": 10.0}
    for job in jobs_of(entry, "cpu"):
        write_record(job, [("online_testing_minutes", 0, 0.0, minutes[job.cell.method])])
    reading = read_entry(entry, "cpu")
    assert (reading.status, reading.summary.mean, reading.summary.n) == ("ok", 28.0, 1)
    assert np.isnan(reading.summary.low)


def test_a_damaged_sidecar_reads_as_a_status(tmp_path):
    path = tmp_path / "train.json"
    path.write_text('{"status": "o')
    key = ("train", "darkroom", "dmh", "default", 0)
    assert str(read_record(path, key).status) == "failed: its record is damaged; snakemake makes it again"
    assert str(read_record(tmp_path / "none.json", key).status) == "not-run: no record yet"


def test_every_row_says_what_it_is_of(write_record):
    job = jobs_of(CURVE, "quick")[1]
    write_record(job, [("episode_return", 350, 3.0, 7.5)])
    rows = job_rows(job)
    assert list(rows.columns) == CELL_COLUMNS
    row = rows.iloc[0]
    settings = "local_tokens=merged,long_tokens=rich"
    assert (row["task"], row["method"], row["settings"], row["seed"]) == ("darkroom", "dmh", settings, 1)
    assert (row["metric"], row["step"], row["index"], row["value"]) == ("episode_return", 350, 3.0, 7.5)
    assert (row["protocol"], row["data_source"], row["budget"]) == ("in-context", "local", "reduced")
    assert (row["status"], row["fingerprint"], row["seconds"]) == ("ok", "print-1", 2.0)
    write_record(job, [("episode_return", 350, 3.0, 7.5)], "failed: ValueError: planted")
    bare = job_rows(job)
    assert len(bare) == 1, "a record that is not ok keeps one row, without a number"
    assert bare["value"].isna().all()
    assert bare["status"].tolist() == ["failed: ValueError: planted"]


def test_rows_of_a_training_say_the_seconds_of_all_its_updates(write_record):
    (job, *_) = jobs_of(CURVE, "quick")[0].upstream
    assert job.stage == "train"
    write_record(job, [("training_loss", 10, 0.0, 0.5)])
    assert job_rows(job)["training_seconds"].isna().all(), "an older record does not say"
    reseal(job.record, facts={"training_seconds": {"9": 4.5, "10": 5.25}})
    assert job_rows(job)["training_seconds"].tolist() == [5.25]


def test_a_row_rests_on_the_data_that_was_used_whatever_is_given_now(write_record):
    entry = next(e for e in Rendering(SUITE, "quick", "dema_table06").entries if not e.missing and e.metric)
    jobs = jobs_of(entry, "quick")
    for job in jobs:
        write_record(job, [(entry.metric, 1, 0.0, 7.5)])
        assert job_rows(job)["data_source"].tolist() == ["stand-in"]
        reseal(job.record, data_source="real")
        assert job_rows(job)["data_source"].tolist() == ["real"]
    assert read_entry(entry, "quick").data_source == "real"


def test_a_hyper_parameter_is_read_from_the_paper_tier():
    entries = [entry for entry in Rendering(SUITE, "quick", "dmh_table03").entries if not entry.stage]
    assert len(entries) > 20
    for entry in entries:
        reading = read_entry(entry, "quick")
        resolved = resolve(CATALOGUE, "paper", entry.cell, "train")
        options = resolved.options if resolved else defaults(CATALOGUE, entry.cell.task, entry.cell.method)
        assert (reading.status, reading.value) == ("ok", options[entry.metric])
