"""What `regress` reads of run and store, what it says changed between them, and a store it cannot read."""

import pandas as pd
import pytest
from suites import CATALOGUE, SUITE

from bench.analysis.regression import Held, compare
from bench.commands.regress import causes, count, key_of, made_otherwise, read_store, regress
from bench.errors import UserError
from bench.stages.probe import counts
from bench.work.cells import parse_slug
from bench.work.jobs import Job
from bench.work.record import OK, Record
from bench.work.results import Run
from bench.work.stored import STORED, Store, seal_store

EVALUATION = Job(SUITE, "evaluate", "quick", parse_slug(CATALOGUE, "darkroom", "ad-mamba", "default"), 0)
TRAINING = EVALUATION.upstream[0]
EMPTY = pd.DataFrame(columns=["metric", "step", "index", "value"])


SCAN = "bench.nn.scan.selective_scan"


def held(job, parts=None, device="cpu", fingerprint=None):
    """What one side holds of a job whose sidecar has these parts."""
    record = {"status": OK, "platform": "a processor", "facts": {"device": device, "scan_backend": "numba"}}
    own = {"parts": parts} if parts else {}
    return {key_of(job): Held(Record(**record, **own, fingerprint=fingerprint or job.fingerprint), EMPTY)}


def with_part(job, kind, **changed):
    return job.parts | {kind: job.parts[kind] | changed}


def with_other_scan(job):
    return with_part(job, "code", **{SCAN: "old"}) | {"digest": "old"}


def test_a_job_made_as_the_code_at_hand_would_has_no_cause():
    assert causes(EVALUATION, held(EVALUATION) | held(TRAINING)) == ()


def test_causes_name_what_changed_in_a_job_and_in_what_it_was_made_from():
    store = held(EVALUATION, with_part(EVALUATION, "options", episodes=3), fingerprint="old")
    store |= held(TRAINING, with_other_scan(TRAINING), fingerprint="older")
    assert causes(EVALUATION, store) == ("option episodes: 3 -> 20", SCAN)


@pytest.mark.parametrize("job", [EVALUATION, TRAINING], ids=["itself", "its training"])
def test_other_means_of_a_job_or_of_what_it_was_made_from_are_named(job):
    run = held(EVALUATION, EVALUATION.parts) | held(TRAINING, TRAINING.parts)
    assert made_otherwise(EVALUATION, run, dict(run)) == []
    older = held(job, with_part(job, "packages", torch="1.0"))
    torch = job.parts["packages"]["torch"]
    assert made_otherwise(EVALUATION, run, run | older) == [f"package torch: 1.0 -> {torch}"]
    elsewhere = held(job, job.parts, device="cuda")
    assert made_otherwise(EVALUATION, run, run | elsewhere) == ["device: cuda -> cpu"]


def test_a_count_made_now_was_not_made_by_other_means():
    stored = read_store(SUITE, "quick")
    probe = next(key for key in stored if key.stage == "probe")
    job = Job(
        SUITE, "probe", "quick", parse_slug(CATALOGUE, probe.task, probe.method, probe.settings), probe.seed
    )
    assert made_otherwise(job, {probe: Held(Record(status=OK), EMPTY)}, stored) == []


def test_what_a_tier_takes_from_the_store_is_not_compared_with_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # As where every fingerprint is the one at hand.
    monkeypatch.setattr(Run, "taken", lambda run, job: job.stored)
    compared, _ = regress(SUITE, "quick", every_cell=True)
    assert compared.taken > 0
    assert compared.exact == 0


def test_an_edited_module_does_not_make_a_number_incomparable():
    run = held(EVALUATION, EVALUATION.parts)
    edited = held(EVALUATION, with_other_scan(EVALUATION), fingerprint="old")
    assert made_otherwise(EVALUATION, run, edited) == []


def test_every_number_of_the_committed_store_belongs_to_a_job():
    stored = read_store(SUITE, "quick")
    assert sum(len(one.rows) for one in stored.values()) == len(pd.read_csv(STORED / "quick" / "cells.csv"))
    assert {key.stage for key in stored} == {"dataset", "train", "evaluate", "attend", "intervene", "probe"}


def test_a_count_that_breaks_is_an_alarm_of_its_cell_and_of_no_other(monkeypatch):
    def broken(job):
        if job.cell.key == "darkroom/dmh/default":
            raise KeyError("broken")
        return counts(job)

    monkeypatch.setattr("bench.stages.probe.counts", broken)
    ours, stored = count(SUITE, "quick"), read_store(SUITE, "quick")
    found = compare(CATALOGUE, ours, stored, set(ours), lambda key: True).findings
    assert {alarm.keys[0].cell for alarm in found} == {"darkroom/dmh/default"}
    counted = {"parameters", "macs", "parameters_as_published", "macs_as_published"}
    assert {alarm.number for alarm in found} == counted
    assert all("failed: KeyError: 'broken'" in alarm.why for alarm in found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cells.csv: not a table (No columns to parse from file). Restore the files: git checkout"),
        ("task,method\n", "cells.csv: column budget is missing. Restore the files: git checkout"),
    ],
)
def test_a_store_that_cannot_be_read_is_said_with_its_remedy(tmp_path, text, words):
    path = tmp_path / "damaged" / "cells.csv"
    path.parent.mkdir()
    path.write_text(text)
    seal_store(path.parent)
    with pytest.raises(UserError) as caught:
        Store(tmp_path).cells("damaged")
    assert words in str(caught.value)
