"""A run that is given real data: its rows say so, and depend on the bytes of the data alone."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import minari
import pytest
from real_files import make_columns, play_hopper, write_d4rl

from bench.datasets.minari_store import load_minari
from dag.conftest import Suite, copy_suite

pytestmark = pytest.mark.slow
TARGET = "results/tiny/cells/hopper-medium/dt/default/seed-0/evaluate.json"
DATASET = "results/tiny/datasets/hopper-medium/default"
FILE = "hopper_medium-v2.hdf5"


def stage(suite: Suite, name: str, *arguments: str, **environment: str) -> str:
    """Run a stage of the hopper cell by hand; everything it prints."""
    named = [f"{key}={value}" for key, value in environment.items()]
    command = [sys.executable, "-m", "bench", name, "--tier", "tiny", "--task", "hopper-medium", *arguments]
    return suite.run(["env", *named, *command], check=False)


def snakemake(suite: Suite, target: str, data: Path | str, *arguments: str) -> str:
    config = ["--config", "tier=tiny", f"data={data}"]
    return suite.run([sys.executable, "-m", "snakemake", target, *arguments, *config], check=False)


def record(suite: Suite, path: str) -> dict:
    return json.loads((suite.root / path).read_text())


@pytest.fixture(scope="module")
def d4rl_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Suite, Path]:
    """A suite in which the hopper cell was run on a file in D4RL's layout, and the folder of the file."""
    suite = copy_suite(tmp_path_factory.mktemp("real"))
    # What is known of the real file is not true of a small one.
    suite.edit("workflow/datasets.csv", "999906,2186,315.86801,1422.0562,3222.3606", ",,,,")
    suite.edit(
        "workflow/datasets.csv", "5bdf1bc4a713c82941de44633df669b36c89850b652a25985166796d25cf71a0", ""
    )
    folder = tmp_path_factory.mktemp("folder")
    write_d4rl(folder / FILE, make_columns((40, 30, 50, 20), unfinished=9))
    said = snakemake(suite, TARGET, folder, "--cores", "1")
    assert suite.exit_code == 0, said
    return suite, folder


@pytest.fixture
def suite(d4rl_run: tuple[Suite, Path], tmp_path: Path) -> Suite:
    shutil.copytree(d4rl_run[0].root, tmp_path / "suite", symlinks=True, copy_function=shutil.copy2)
    return Suite(tmp_path / "suite")


def would_run(suite: Suite, data: Path | str) -> set[str]:
    said = snakemake(suite, TARGET, data, "--dry-run", "--quiet", "host", "progress")
    assert suite.exit_code == 0, said
    return {name for name in ("dataset", "train", "evaluate") if f"rule {name}:" in said}


def test_every_row_and_record_says_real(d4rl_run: tuple[Suite, Path]) -> None:
    suite, folder = d4rl_run
    dataset, evaluation = record(suite, f"{DATASET}/dataset.json"), record(suite, TARGET)
    assert (dataset["status"], evaluation["status"]) == ("ok", "ok")
    assert (dataset["data_source"], evaluation["data_source"]) == ("real", "real")
    assert (dataset["facts"]["file"], dataset["facts"]["transitions"]) == (FILE, 149)
    assert evaluation["command"].startswith(f"BENCH_DATA={folder} python -m bench evaluate ")
    suite.run([sys.executable, "-m", "bench", "cells", "--tier", "tiny"])
    with (suite.root / "results/tiny/cells.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["task"] == "hopper-medium" and row["value"]]
    assert len(rows) > 3
    assert {row["data_source"] for row in rows} == {"real"}, "even where the data is not given any more"


def test_a_moved_folder_changes_nothing_and_another_file_everything(
    suite: Suite, d4rl_run: tuple[Suite, Path], tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(d4rl_run[1], moved)
    assert would_run(suite, moved) == set()
    assert would_run(suite, "") == {"dataset", "train", "evaluate"}, "the stand-in is other data"
    write_d4rl(moved / FILE, make_columns((40, 30, 50, 20), unfinished=9, seed=1))
    assert would_run(suite, moved) == {"dataset", "train", "evaluate"}


def test_a_stage_by_hand_does_not_mix_data_by_mistake(suite: Suite) -> None:
    said = stage(suite, "train", "--method", "dt")
    assert suite.exit_code == 2
    for part in (
        f"{DATASET}/dataset.json: key data_source: it rests on real data",
        "was given stand-in data (environment variable BENCH_DATA: not set)",
        "Set the variable as it was",
    ):
        assert part in said


def test_a_missing_file_is_a_status_that_says_what_to_do(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    stage(suite, "dataset", BENCH_DATA=str(tmp_path / "empty"))
    assert suite.exit_code == 0
    status = record(suite, f"{DATASET}/dataset.json")["status"]
    assert status.startswith(f"unavailable: hopper-medium: {tmp_path}/empty/{FILE} is missing. Download it")


def test_a_damaged_file_stops_the_run_with_its_message(suite: Suite, d4rl_run: tuple[Suite, Path]) -> None:
    before = record(suite, f"{DATASET}/dataset.json")
    damaged = suite.root / "damaged"
    damaged.mkdir()
    (damaged / FILE).write_bytes((d4rl_run[1] / FILE).read_bytes()[:5000])
    said = stage(suite, "dataset", BENCH_DATA=str(damaged))
    assert suite.exit_code == 2
    assert f"error: {damaged}/{FILE}: cannot be read as HDF5" in said
    assert record(suite, f"{DATASET}/dataset.json") == before


def test_a_folder_that_is_not_there_stops_the_plan(suite: Suite) -> None:
    said = snakemake(suite, "plan", "/nowhere/at/all", "--dry-run")
    assert suite.exit_code != 0
    assert "Traceback" not in said
    assert "config key data (environment variable BENCH_DATA): there is no folder /nowhere/at/all" in said


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_dt_learns_from_a_dataset_that_minari_wrote(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "minari"
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(store))
    episodes = [play_hopper(30, seed) for seed in range(4)]
    minari.create_dataset_from_buffers("mujoco/hopper/medium-v0", episodes, env="Hopper-v5")
    given = {"BENCH_DATA": "minari", "MINARI_DATASETS_PATH": str(store)}
    for name in ("dataset", "train"):
        said = stage(suite, name, *(["--method", "dt"] if name == "train" else []), **given)
        assert suite.exit_code == 0, said
    training = record(suite, TARGET.replace("evaluate", "train"))
    assert (training["status"], training["data_source"]) == ("ok", "minari")
    assert training["facts"]["updates"] == 4
    copied = load_minari(suite.root / DATASET / "data", "real/copy-v0")
    assert copied.lengths.tolist() == [len(episode.rewards) for episode in episodes]
