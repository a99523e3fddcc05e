"""`regress` passes on an unchanged tree, and each planted fault makes it fail by the name of its cells."""

import json
import re
import shutil
import sys

import pandas as pd
import pytest
from records import retell

from bench.work.stored import seal_store

pytestmark = pytest.mark.slow
STORE = "results/stored/tiny/cells.csv"
MAMBA, DT = "darkroom/ad-mamba/default", "hopper-medium/dt/default"
AGAIN = """
from bench.work.suite import Suite
from bench.stages.evaluate import evaluate
from bench.stages.runner import run
from bench.commands.regress import main
from bench.work.regression import regressed_jobs
from bench.stages.train import train
for job in regressed_jobs(Suite.from_environment(), "tiny"):
    if job.state != "current":
        run(job, {"train": train, "evaluate": evaluate}[job.stage])
main("tiny")
"""
WITHOUT_TORCH = """
import atexit, sys
from bench.commands.regress import main
atexit.register(lambda: print("torch" if "torch" in sys.modules else "no torch"))
main("tiny", True)
"""


@pytest.fixture(scope="module")
def promoted(finished, tmp_path_factory):
    """A finished suite whose own results are its store. Tests copy it."""
    folder = tmp_path_factory.mktemp("promoted") / "suite"
    shutil.copytree(finished.root, folder, symlinks=True, copy_function=shutil.copy2)
    suite = type(finished)(folder)
    suite.run([sys.executable, "-m", "bench", "store", "--tier", "tiny"])
    return suite


@pytest.fixture
def stored(promoted, tmp_path):
    """The same, to be edited."""
    shutil.copytree(promoted.root, tmp_path / "suite", symlinks=True, copy_function=shutil.copy2)
    return type(promoted)(tmp_path / "suite")


def alarmed(suite, said):
    """(cell, stage) of every alarm on the page; the command has to have failed."""
    assert suite.exit_code != 0, said
    rows = re.findall(r"^\| (\S+) seeds? [\d, ]+, (\w+) \| ", page(suite), re.M)
    assert rows, said
    return set(rows)


def page(suite):
    return (suite.root / "results/tiny/regress.md").read_text()


def compare(suite, *options):
    """The comparison alone, of the records that lie there."""
    return suite.run([sys.executable, "-m", "bench", "regress", "--tier", "tiny", *options], check=False)


def make_again_and_compare(suite):
    """What `snakemake regress` does, in one process: what an edit made stale, then the comparison."""
    said = suite.run([sys.executable, "-c", AGAIN], check=False)
    assert "failed" not in page(suite), "code that does not run would be named for that, whatever it computes"
    return said


def assert_moved(before, after, cell, file, least):
    """The fault changed the cell's numbers by this much: far beyond what another processor rounds."""
    ours, stored = (
        pd.read_csv(suite.root / f"results/tiny/cells/{cell}/seed-0/{file}.csv") for suite in (after, before)
    )
    assert (ours["value"] - stored["value"]).abs().max() > least


def edit_store(suite, change):
    """Rewrite the store as `change` makes it of its rows."""
    rows = pd.read_csv(suite.root / STORE, dtype=str, keep_default_na=False)
    change(rows).to_csv(suite.root / STORE, index=False)
    seal_store((suite.root / STORE).parent)


def test_an_unchanged_tree_raises_no_alarm_and_times_nothing(stored):
    shutil.rmtree(stored.root / "results/tiny/cells/darkroom/ad-transformer")
    shutil.rmtree(stored.root / f"results/tiny/cells/{DT}")
    said = stored.snakemake("regress", "--cores", "1")
    assert re.search(r"^train +\d$", said, re.M), "the table of jobs"
    assert not re.search(r"^probe +\d", said, re.M)
    assert re.search(r"no alarm in the tiny tier: \d\d+ numbers asked to be equal", said)
    assert "No alarms" in page(stored)


def test_a_sign_flipped_in_the_selective_scan(promoted, stored):
    stored.edit("bench/nn/kernels/scan_forward.py", "h, written)", "h, broadcast(ZERO) - written)")
    said = make_again_and_compare(stored)
    assert alarmed(stored, said) == {(MAMBA, "train"), (MAMBA, "evaluate")}
    assert f"likely cause of {MAMBA} seed 0, evaluate; {MAMBA} seed 1, evaluate; " in said
    assert re.search(r"changed: bench\.nn\.kernels\.scan_forward\.\w+", said)
    assert_moved(promoted, stored, MAMBA, "train", 0.05)
    assert_moved(promoted, stored, MAMBA, "evaluate", 0.05)


def test_a_wrong_normaliser(stored):
    stored.edit("workflow/tasks/mujoco.yaml", "reference_high: 3234.3", "reference_high: 3243.3")
    said = make_again_and_compare(stored)
    assert alarmed(stored, said) == {(DT, "evaluate")}
    assert re.findall(r"\| (\w+) \(step 4, index 0\) \|", page(stored)) == ["normalised_score"]
    assert "option reference_high: 3234.3 -> 3243.3" in said


def test_returns_to_go_that_are_off_by_one(promoted, stored):
    stored.edit(
        "bench/methods/windows.py",
        "dataset.returns_to_go() /",
        "(dataset.returns_to_go() - dataset.rewards) /",
    )
    said = make_again_and_compare(stored)
    assert alarmed(stored, said) == {(DT, "train"), (DT, "evaluate")}
    assert_moved(promoted, stored, DT, "train", 1e-4)
    assert_moved(promoted, stored, DT, "evaluate", 1e-4)


def test_seeds_swapped(stored):
    tables = [stored.root / f"results/tiny/cells/{MAMBA}/seed-{seed}/train.csv" for seed in (0, 1)]
    texts = [table.read_text() for table in tables]
    for table, text in zip(tables, reversed(texts), strict=True):
        table.write_text(text)
        retell(table.with_suffix(".json"))
    said = compare(stored, "--all-cells")
    assert alarmed(stored, said) == {(MAMBA, "train")}
    assert f"| {MAMBA} seed 0, train" in page(stored)
    assert f"| {MAMBA} seed 1, train" in page(stored)
    assert "none known: code, options and platform are the store's" in said


def test_a_row_deleted_from_the_store_and_one_from_the_run(stored):
    def without_a_row(rows):
        wanted = {"metric": "last_return", "method": "ad-mamba", "seed": "1", "step": "6"}
        return rows[(rows[list(wanted)] != pd.Series(wanted)).any(axis=1)]

    edit_store(stored, without_a_row)
    table = stored.root / f"results/tiny/cells/{DT}/seed-0/evaluate.csv"
    rows = table.read_text().splitlines(keepends=True)
    table.write_text("".join(row for row in rows if not row.startswith("normalised_score")))
    retell(table.with_suffix(".json"))
    assert alarmed(stored, compare(stored, "--all-cells")) == {(MAMBA, "evaluate"), (DT, "evaluate")}
    extra = rf"{MAMBA} seed 1, evaluate \| last_return \(step 6.* 1 of 2 rows not in the store"
    assert re.search(extra, page(stored))
    missing = rf"{DT} seed 0, evaluate \| normalised_score .* 1 of 1 rows missing from the run"
    assert re.search(missing, page(stored))
    line = next(line for line in page(stored).splitlines() if line.startswith(f"- {DT}"))
    links = re.findall(r"\[(\w+)\]\(([^)]+)\)", line)
    assert [kind for kind, _ in links] == ["record", "log"]
    assert all((stored.root / "results/tiny" / path).is_file() for _, path in links)
    assert "`python -m bench evaluate --tier tiny --task hopper-medium --method dt --seed 0" in line


def test_a_changed_constant_of_a_count(stored):
    stored.edit("bench/measure/counting.py", "\nSCAN_PRODUCTS = 4", "\nSCAN_PRODUCTS = 5")
    said = compare(stored)
    assert alarmed(stored, said) == {(MAMBA, "probe")}
    assert "macs (step 0, index 0)" in page(stored)
    assert "parameters" not in page(stored)


def test_a_finished_run_is_compared_whole_and_without_torch(stored):
    shutil.rmtree(stored.root / "results/tiny/cells/darkroom/ad-transformer/default/seed-1")
    said = stored.run([sys.executable, "-c", WITHOUT_TORCH], check=False)
    gone = "darkroom/ad-transformer/default"
    assert alarmed(stored, said) == {(gone, "train"), (gone, "evaluate")}
    assert "missing from the run (not-run: no record yet)" in page(stored)
    assert "no torch" in said


def edit_records(suite, change):
    """Rewrite the store's sidecars, each as `change` leaves it."""
    path = suite.root / "results/stored/tiny/records.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        change(record)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    seal_store(path.parent)


def test_a_stale_row_that_keeps_its_number_is_a_note_and_no_alarm(stored):
    def otherwise(record):
        if record["method"] == "dt":
            record["fingerprint"] = record["fingerprint"][::-1]
            record["parts"]["options"]["batch_size"] = 5

    def renamed(rows):
        prints = rows["fingerprint"]
        return rows.assign(fingerprint=prints.where(rows["method"] != "dt", prints.str[::-1]))

    edit_records(stored, otherwise)
    edit_store(stored, renamed)
    said = compare(stored, "--all-cells")
    assert stored.exit_code == 0
    assert "no alarm" in said
    assert f"stale in the store: {DT} seed 0 (train, evaluate); changed: option batch_size: 5 -> 4" in said


def test_another_platforms_scores_may_differ_within_what_seeds_do(stored):
    edit_records(stored, lambda record: record.update(platform="another"))
    said = compare(stored, "--all-cells")
    assert stored.exit_code == 0
    assert "2 scores against the interval that the stored seeds foretell" in said
    assert "1 scores, of cells with one seed, against the protocol's margin" in said


def test_storing_an_unfinished_run_is_refused(suite):
    (suite.root / "results/tiny/cells/darkroom/ad-mamba/default/seed-0/probe.json").unlink()
    said = suite.run([sys.executable, "-m", "bench", "store", "--tier", "tiny"], check=False)
    assert suite.exit_code == 2
    assert "results/tiny: 1 of " in said
    assert "jobs are missing, damaged or out of date, the first being probe of darkroom/ad-mamba" in said
