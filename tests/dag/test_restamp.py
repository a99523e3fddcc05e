"""`bench restamp` carries stored numbers over a refactoring once a sample is made again bit by bit."""

import json
import subprocess
import sys

import pytest

from bench.work.stored import seal_store

pytestmark = pytest.mark.slow
RECORDS = "results/stored/tiny/records.jsonl"
# An edit of what every method runs that changes its digest and no number.
ROUNDABOUT = ("bench/stages/checkpoints.py", "count = min(", "count = 1 * min(")
# The smallest change of a number that a float64 can hold.
LAST_BIT = ("bench/stages/train.py", "self.spent += ", "value *= 1.0 + 2.0**-52\n        self.spent += ")


@pytest.fixture
def stored(suite):
    """A finished suite whose own results are its store, in a repository with one commit."""
    suite.run([sys.executable, "-m", "bench", "store", "--tier", "tiny"])
    (suite.root / ".gitignore").write_text("results/tiny/\nfigures/\n.snakemake/\n__pycache__/\n")
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "all"]):
        identity = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *identity, *words], cwd=suite.root, check=True)
    return suite


def records(suite):
    return [json.loads(line) for line in (suite.root / RECORDS).read_text().splitlines()]


def restamp(suite, count):
    command = ["restamp", "--since", "HEAD", "--verify", str(count), "--tier", "tiny"]
    return suite.run([sys.executable, "-m", "bench", *command], check=False)


def at_hand(suite):
    """Key -> fingerprint by the code at hand."""
    said = suite.run([sys.executable, "-m", "bench", "fingerprints", "--tier", "tiny"])
    return {tuple(key): fingerprint for key, fingerprint in map(json.loads, said.splitlines())}


def key(record):
    return tuple(record[name] for name in ("stage", "task", "method", "settings", "seed"))


def test_a_refactoring_that_changes_no_number_keeps_the_store(stored):
    before = records(stored)
    stored.edit(*ROUNDABOUT)
    wanted = at_hand(stored)
    affected = {key(record) for record in before if record["fingerprint"] != wanted[key(record)]}
    assert {stage for stage, *_ in affected} == {"train", "evaluate"}
    said = restamp(stored, 3)
    assert stored.exit_code == 0, said
    assert said.count("is equal to the store") == 3
    assert f"tiny: {len(affected)} of {len(before)} records carried over" in said
    after = records(stored)
    assert {key(record): record["fingerprint"] for record in after} == wanted
    for old, new in zip(before, after, strict=True):
        assert new["git_commit"] == old["git_commit"], "who made the number stays"
        assert ("restamped" in new) == (key(old) in affected)
    assert next(record["restamped"]["verified"] for record in after if "restamped" in record) == 3
    said = stored.run(
        [sys.executable, "-m", "bench", "regress", "--tier", "tiny", "--all-cells"], check=False
    )
    assert "stale in the store" not in said


def test_a_change_of_the_last_bit_is_refused_by_the_name_of_its_cell(stored):
    before = (stored.root / RECORDS).read_text()
    stored.edit(*LAST_BIT)
    said = restamp(stored, 100)
    assert stored.exit_code == 2
    assert "training_loss (step " in said
    assert "The code computes otherwise, so nothing was carried over" in said
    assert (stored.root / RECORDS).read_text() == before


@pytest.mark.campaign
def test_records_of_another_machine_are_compared_with_what_the_earlier_code_makes_here(stored):
    path = stored.root / RECORDS
    path.write_text(
        "".join(json.dumps(record | {"platform": "elsewhere"}) + "\n" for record in records(stored))
    )
    seal_store(path.parent)
    stored.edit(*ROUNDABOUT)
    said = restamp(stored, 1)
    assert stored.exit_code == 0, said
    assert said.count("is equal to what the earlier commit makes here") == 1


def test_what_was_not_current_or_has_other_options_is_left_alone(stored):
    stored.edit("workflow/tiers/tiny.yaml", "updates: 4, checkpoints: 1", "updates: 5, checkpoints: 1")
    path = stored.root / RECORDS
    path.write_text(
        "".join(
            json.dumps(record | ({"fingerprint": "older"} if record["method"] == "ad-mamba" else {})) + "\n"
            for record in records(stored)
        )
    )
    seal_store(path.parent)
    stored.edit(*ROUNDABOUT)
    before = {key(record): record["fingerprint"] for record in records(stored)}
    said = restamp(stored, 1)
    assert stored.exit_code == 0, said
    changed = {key(record) for record in records(stored) if record["fingerprint"] != before[key(record)]}
    assert {method for _, _, method, _, _ in changed} == {"ad-transformer"}


def test_a_commit_that_is_not_there_is_named(stored):
    said = stored.run(
        [sys.executable, "-m", "bench", "restamp", "--since", "nowhere", "--verify", "1"], check=False
    )
    assert stored.exit_code == 2
    assert "--since nowhere: " in said
    assert "Name a commit of this repository." in said
