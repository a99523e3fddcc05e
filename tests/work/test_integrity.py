"""What no job leaves is checked as well: what is said of a run as a whole, tables and figures, the store."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from damage import WAYS
from records import write_sidecar
from suites import SUITE

from bench.errors import UserError
from bench.files import placed, write_atomically
from bench.work import gathered
from bench.work.graph import Graph
from bench.work.integrity import described, sealed, unsealed
from bench.work.jobs import RESULTS, Job
from bench.work.plan import all_jobs
from bench.work.renderings import Rendering
from bench.work.state_files import write_state
from bench.work.stored import DIGESTS, STORED, Store, seal_store

every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
TEXT = "".join(f"a line of text, number {number}\n" for number in range(20))


@pytest.fixture
def other(tmp_path, monkeypatch):
    """A file of another kind; the working folder is empty."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    path = tmp_path / "other"
    path.write_text("another's\nfile\n")
    return path


@every_way
@pytest.mark.parametrize("name", ["claims.csv", "claims_units.csv", "claims.md", "claims.sha256"])
def test_damaged_pages_of_a_run_are_named_and_made_again(other, name, way):
    files = gathered.files_of("quick", "claims.csv")
    for number, path in enumerate(files):
        write_atomically(path, f"{number}\n{TEXT}")
    gathered.seal(files)
    assert gathered.checked(files, "") == files[0]
    assert Graph(SUITE, "quick").markers_of_pages(files) == []
    way(RESULTS / "quick" / name, other)
    with pytest.raises(UserError, match=r"claims.*Make it again"):
        gathered.checked(files, "Make it again.")
    # Snakemake by itself makes again what is missing of its outputs.
    assert len(Graph(SUITE, "quick").markers_of_pages(files)) == files[0].exists()


@every_way
@pytest.mark.parametrize("place", range(4), ids=["csv", "png", "pdf", "sidecar"])
def test_a_damaged_figure_is_made_again_and_not_read(other, place, way):
    shown = Rendering(SUITE, "quick", "dmh_fig02")
    shown.folder.mkdir(parents=True)
    for number, path in enumerate(shown.outputs[:-1]):
        path.write_text(f"{number}\n{TEXT}")
    write_sidecar(shown)
    assert shown.state == "current"
    assert shown.checked(shown.outputs[0]) == shown.outputs[0]
    way(shown.outputs[place], other)
    assert shown.state in ("damaged", "missing")
    with pytest.raises(UserError, match=r"Make it again: snakemake dmh_fig02 --config tier=quick"):
        shown.checked(shown.outputs[0])


@pytest.fixture
def store(tmp_path):
    """A copy of the committed store of the quick tier."""
    shutil.copytree(STORED / "quick", tmp_path / "stored" / "quick")
    return Store(tmp_path / "stored")


def with_arrays():
    place = SUITE.store.place_of_arrays
    return next(job for job in all_jobs(SUITE, "quick") if place(job).exists())


@every_way
@pytest.mark.parametrize("name", ["cells.csv", "records.jsonl", "closures.json", "arrays", DIGESTS])
def test_a_damaged_store_is_named_and_gives_no_number(store, other, name, way):
    job = with_arrays()
    path = store.place_of_arrays(job) if name == "arrays" else store.folder / "quick" / name
    way(path, other)
    with pytest.raises(UserError, match=rf"{path.name}.*Restore the files: git checkout"):
        read_all(store, job)


def read_all(store: Store, job: Job) -> None:
    store.files("quick")
    assert store.records("quick")
    assert store.cells("quick")
    store.arrays(job)


def test_the_digests_of_the_committed_stores_are_those_of_their_files():
    for folder in filter(Path.is_dir, STORED.iterdir()):
        done = subprocess.run(["sha256sum", "--check", "--quiet", DIGESTS], cwd=folder, check=False)
        assert done.returncode == 0, f"{folder.name}: see docs/store.md"
        listed = {line.split("  ")[1] for line in (folder / DIGESTS).read_text().splitlines()}
        there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert listed == there - {DIGESTS}


def test_a_store_that_is_sealed_again_is_read(store):
    path = store.folder / "quick" / "cells.csv"
    path.write_text(path.read_text() + "\n")
    seal_store(path.parent)
    read_all(store, with_arrays())


def test_every_byte_of_a_sealed_file_counts(tmp_path):
    path = tmp_path / "one.json"
    whole = sealed({"number": 0.1, "digest": "of before", "text": 'a "quoted" word'}).encode()
    path.write_bytes(whole)
    assert unsealed(path) == {"number": 0.1, "text": 'a "quoted" word'}
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=r"its text is not what its digest says|utf-8"):
            unsealed(path)


def test_a_file_whose_writing_fails_leaves_the_old_one_and_nothing_beside_it(tmp_path):
    path = tmp_path / "file.txt"
    write_atomically(path, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), placed(path) as temporary:
        fail(temporary)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_both_files_of_a_state_can_be_read_by_whom_the_umask_lets(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_state(tmp_path / "state.json", {"weights": torch.ones(2)})
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        assert os.umask(umask) == umask, "it stays what it was"
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("state.json", "state.safetensors"), 0o666 & ~umask)


@pytest.mark.parametrize(
    ("name", "content"),
    [("arrays.npz", b"PK\x03\x04 and no archive"), ("arrays.npz", b""), ("table.csv", b"x" * 200_000)],
    ids=["a broken archive", "an empty one", "a cell beyond what a table may have"],
)
def test_a_file_that_is_not_what_its_name_says_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}: not a whole"):
        described(tmp_path, [tmp_path / name])
