"""What a number of the store says has changed since it was made, and a store that cannot be read."""

import json

import pytest

import bench.work.stored
from bench.analysis.readings import changed_since
from bench.errors import UserError
from bench.work.cells import parse_slug
from bench.work.jobs import Job
from bench.work.stored import VARIABLE, stored_records, stored_texts

EVALUATION = Job("evaluate", "quick", parse_slug("darkroom", "ad-mamba", "default"), 0)
TRAINING = EVALUATION.upstream[0]


def record(job, fingerprint=None, **parts):
    """A sidecar of the store, as the code at hand would write it but for these parts of its fingerprint."""
    names = dict(zip(("stage", "task", "method", "settings", "seed"), job.key, strict=True))
    return {
        "status": "ok",
        **names,
        "fingerprint": fingerprint or job.fingerprint,
        "parts": job.parts | parts,
    }


@pytest.fixture
def store(monkeypatch):
    """A store that is read in the place of a run, to be filled by name."""
    records = {}
    monkeypatch.setenv(VARIABLE, "stored")
    monkeypatch.setattr("bench.work.jobs.stored_records", lambda tier: records)
    return records


def test_nothing_changed_where_the_code_at_hand_would_make_it_again(store):
    store[EVALUATION.key] = record(EVALUATION)
    assert changed_since(EVALUATION) == []
    store[TRAINING.key] = record(TRAINING, "of another code", seed=1)
    assert changed_since(EVALUATION) == [], "the training that is stored is not the one it rests on"


def test_a_change_of_the_training_is_named_by_what_changed(store):
    older = TRAINING.parts["options"] | {"updates": 1}
    store[TRAINING.key] = record(TRAINING, "older", options=older)
    store[EVALUATION.key] = record(EVALUATION, "older too", upstream=["older"])
    (said,) = changed_since(EVALUATION)
    assert said.startswith("option updates: 1 -> ")


@pytest.mark.parametrize("promoted", [True, False], ids=["anew", "not at all"])
def test_a_number_whose_training_is_not_the_stored_one_is_marked(store, promoted):
    if promoted:
        store[TRAINING.key] = record(TRAINING)
    store[EVALUATION.key] = record(EVALUATION, "older", upstream=["of a training that is gone"])
    assert changed_since(EVALUATION) == ["its training"]


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        (
            "closures.json",
            lambda text: text[:40],
            "closures.json: not what `bench store` writes (JSONDecodeError",
        ),
        ("records.jsonl", lambda text: text[:40], "records.jsonl: line 1 is no record (JSONDecodeError"),
        (
            "records.jsonl",
            lambda text: text * 2,
            "records.jsonl: line 2 is a second record of train darkroom",
        ),
    ],
)
def test_a_damaged_store_is_said_with_its_remedy(tmp_path, monkeypatch, name, damage, words):
    monkeypatch.setattr(bench.work.stored, "STORED", tmp_path)
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "cells.csv").write_text("")
    for file, text in stored_texts({TRAINING.key: json.loads(json.dumps(record(TRAINING)))}).items():
        (folder / file).write_text(damage(text) if file == name else text)
    with pytest.raises(UserError) as caught:
        stored_records("damaged")
    assert words in str(caught.value)
    assert "Restore the files: git checkout -- " in str(caught.value)
