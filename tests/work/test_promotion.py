"""A store that is written anew: the one that was there, or the new one, and never a part of it."""

import pytest

from bench.errors import UserError
from bench.files import write_atomically
from bench.work.integrity import read_digests
from bench.work.promotion import renewed
from bench.work.stored import DIGESTS, Store

ARRAY = "arrays/maps.npz"


class KilledError(BaseException):
    """Stands in for a kill."""


def write(folder, text):
    for name in ("cells.csv", "records.jsonl", "closures.json"):
        write_atomically(folder / name, text)


def promote(folder, text):
    with renewed(folder) as new:
        write(new, text)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "stored" / "tiny"


@pytest.fixture
def stored(folder):
    """A store of this tier with one file of arrays."""
    with renewed(folder) as new:
        write(new, "before\n")
        write_atomically(new / ARRAY, "arrays\n")
    return folder


def killed_while_writing(folder):
    with renewed(folder) as new:
        write(new, "half\n")
        raise KilledError


def test_a_first_promotion_that_is_killed_leaves_no_store_and_can_be_done_again(folder):
    with pytest.raises(KilledError):
        killed_while_writing(folder)
    assert Store(folder.parent).records("tiny") == {}
    promote(folder, "whole\n")
    assert [path.read_text() for path in Store(folder.parent).files("tiny")] == ["whole\n"] * 3


def test_a_promotion_that_is_killed_leaves_the_store_that_was_there(stored):
    with pytest.raises(KilledError):
        killed_while_writing(stored)
    assert [path.read_text() for path in Store(stored.parent).files("tiny")] == ["before\n"] * 3
    assert [path.name for path in stored.parent.iterdir()] == ["tiny"]


def test_a_store_that_was_set_aside_when_the_kill_came_is_there_again(stored):
    stored.rename(stored.with_name(".tiny.old"))
    promote(stored, "after\n")
    assert (stored / ARRAY).read_text() == "arrays\n"
    assert [path.name for path in stored.parent.iterdir()] == ["tiny"]


def test_what_has_rotted_since_is_not_vouched_for_anew(stored):
    (stored / ARRAY).write_text("rotten\n")
    with pytest.raises(UserError, match=r"maps\.npz: damaged or edited.*Restore the files: git checkout"):
        promote(stored, "after\n")
    assert (stored / "cells.csv").read_text() == "before\n"


def test_only_what_a_store_holds_is_vouched_for(stored):
    (stored / "notes.txt").write_text("a stray\n")
    promote(stored, "after\n")
    assert set(read_digests(stored / DIGESTS)) == {"cells.csv", "records.jsonl", "closures.json", ARRAY}
    assert (stored / "notes.txt").exists()


def test_of_a_folder_without_digests_both_remedies_are_named(folder):
    write(folder, "half\n")
    with pytest.raises(UserError, match=r"SHA256SUMS: missing.*delete the folder.*bench store --tier tiny"):
        promote(folder, "whole\n")
