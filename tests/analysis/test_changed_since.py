"""What a number of the store says has changed since it was made, and a store that cannot be read."""

from dataclasses import replace

import pytest
from suites import CATALOGUE, SUITE

from bench.analysis.readings import changed_since
from bench.errors import UserError
from bench.work.cells import parse_slug
from bench.work.integrity import write_digests
from bench.work.jobs import Job
from bench.work.record import OK, Record
from bench.work.stored import DIGESTS, Store, stored_texts
from bench.work.suite import Suite

EVALUATION = Job(SUITE, "evaluate", "quick", parse_slug(CATALOGUE, "darkroom", "ad-mamba", "default"), 0)
TRAINING = EVALUATION.upstream[0]


def record(job, fingerprint=None, **parts):
    """A record of the store, as the code at hand would write it but for these parts of its fingerprint."""
    names = dict(zip(("stage", "task", "method", "settings", "seed"), job.key, strict=True))
    return Record(status=OK, **names, fingerprint=fingerprint or job.fingerprint, parts=job.parts | parts)


def write(folder, texts):
    """The store of a tier without numbers: its texts by file, and the digests of what is written."""
    texts = {"cells.csv": ""} | texts
    for name, text in texts.items():
        (folder / name).write_text(text)
    write_digests(folder / DIGESTS, [folder / name for name in texts])


@pytest.fixture
def changed(tmp_path):
    """What has changed since the evaluation was stored, in a store of these records and their jobs."""

    def since(*stored):
        folder = tmp_path / "quick"
        folder.mkdir(exist_ok=True)
        write(folder, stored_texts({job.key: one for job, one in stored}))
        return changed_since(replace(EVALUATION, suite=Suite.open(source="stored", store=tmp_path)))

    return since


def test_nothing_changed_where_the_code_at_hand_would_make_it_again(changed):
    evaluation = (EVALUATION, record(EVALUATION))
    assert changed(evaluation) == []
    training = (TRAINING, record(TRAINING, "of another code", seed=1))
    assert changed(evaluation, training) == [], "the training that is stored is not the one it rests on"


def test_a_change_of_the_training_is_named_by_what_changed(changed):
    older = TRAINING.parts["options"] | {"updates": 1}
    (said,) = changed(
        (TRAINING, record(TRAINING, "older", options=older)),
        (EVALUATION, record(EVALUATION, "older too", upstream=["older"])),
    )
    assert said.startswith("option updates: 1 -> ")


@pytest.mark.parametrize("promoted", [True, False], ids=["anew", "not at all"])
def test_a_number_whose_training_is_not_the_stored_one_is_marked(changed, promoted):
    stored = [(EVALUATION, record(EVALUATION, "older", upstream=["of a training that is gone"]))]
    stored += [(TRAINING, record(TRAINING))] if promoted else []
    assert changed(*stored) == ["its training"]


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
def test_a_damaged_store_is_said_with_its_remedy(tmp_path, name, damage, words):
    folder = tmp_path / "damaged"
    folder.mkdir()
    texts = stored_texts({TRAINING.key: record(TRAINING)})
    write(folder, texts | {name: damage(texts[name])})
    with pytest.raises(UserError) as caught:
        Store(tmp_path).records("damaged")
    assert words in str(caught.value)
    assert "Restore the files: git checkout -- " in str(caught.value)
