"""What a stage left and somebody harmed: it is made again, or named with the remedy, and never read."""

import os
import pickle
import shutil
import zipfile

import numpy as np
import pytest
import torch
from damage import WAYS
from records import write_record
from suites import suite_with

from bench.commands.health import not_whole
from bench.errors import UserError
from bench.stages.checkpoints import checkpoint_path, load_last, read_checkpoint
from bench.stages.dataset import dataset
from bench.stages.evaluate import evaluate
from bench.stages.runner import run
from bench.stages.train import train
from bench.work.cells import make_cell
from bench.work.graph import Graph
from bench.work.jobs import Job, dataset_job
from bench.work.state_files import read_state, tensors_beside, write_state

TIER = """
title: One cell on almost nothing
budget: reduced
budgets:
  - label: darkroom
    tasks: [darkroom]
    methods: [ad-mamba]
    stages: [train, evaluate]
    seeds: 2
    options: {room_side: 5, train_tasks: 16, test_tasks: 9, history_steps: 20000, horizon: 7,
      evaluation_environments: 9, episodes: 3, context_episodes: 3, embedding_dim: 16, layers: 1,
      batch_size: 4, updates: 6, warmup_updates: 2, checkpoints: 2}
    core_seconds: {train: 1, evaluate: 1}
"""
SUITE = suite_with(tiny=TIER)
CELL = make_cell(SUITE.catalogue, "darkroom", "ad-mamba", {})
STAGES = {"dataset": dataset, "train": train, "evaluate": evaluate}


def job_of(stage, seed=0):
    return dataset_job(SUITE, "tiny", CELL) if stage == "dataset" else Job(SUITE, stage, "tiny", CELL, seed)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which a cell was trained and evaluated with two seeds."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for seed in (0, 1):
            for stage, work in STAGES.items():
                run(job_of(stage, seed), work)
                assert job_of(stage, seed).recorded().status.is_ok
    return folder


@pytest.fixture
def run_folder(finished, tmp_path, monkeypatch):
    """A copy of that folder, to be damaged."""
    shutil.copytree(finished, tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")


def waits(job, retry=False):
    return Graph(SUITE, "tiny", retry).waits(job)


def test_nothing_waits_and_nothing_is_wrong_before_any_damage(run_folder):
    for stage in STAGES:
        assert not waits(job_of(stage), retry=True)
        assert not_whole(job_of(stage)) == ""


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("suffix", [".json", ".csv"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_damaged_record_or_table_is_made_again_and_gives_no_number(run_folder, stage, suffix, way):
    job, other = job_of(stage), job_of("train" if stage == "evaluate" else "evaluate", seed=1)
    path = job.folder / f"{stage}{suffix}"
    before = job.table.read_bytes()
    way(path, other.folder / f"{other.stage}{suffix}")
    damaged = job_of(stage)
    assert waits(damaged)
    assert f"{stage}." in not_whole(damaged)
    if suffix == ".csv":
        with pytest.raises(UserError, match=rf"{stage}\.csv.*Make it again: snakemake all .*retry=true"):
            SUITE.source.rows(damaged)
    else:
        assert SUITE.source.rows(damaged).empty
        assert not damaged.recorded().status.is_ok
    run(damaged, STAGES[stage])
    assert not waits(job_of(stage))
    assert job.table.read_bytes() == before


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_damaged_arrays_are_named_and_their_job_waits(tmp_path, monkeypatch, way):
    monkeypatch.chdir(tmp_path)
    job = job_of("train")
    job.folder.mkdir(parents=True)
    np.savez(job.arrays, weights=np.arange(900.0).reshape(30, 30))
    np.savez(tmp_path / "other.npz", weights=np.zeros(4))
    write_record(job)
    assert SUITE.source.arrays(job) == job.arrays
    assert job.recorded().files[job.arrays.name].shapes == {"weights": (30, 30)}
    way(job.arrays, tmp_path / "other.npz")
    assert waits(job_of("train"))
    with pytest.raises(UserError, match=r"train\.npz: .*Make it again"):
        SUITE.source.arrays(job)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("kept", ["dataset", "checkpoint", "its tensors"])
def test_damaged_data_and_checkpoints_are_named_by_who_reads_them(run_folder, kept, way):
    trained = job_of("train")
    if kept == "dataset":
        broken, reader = job_of("dataset"), ("train", train)
        path, other = broken.folder / "data" / "histories.npz", trained.table
    else:
        broken, reader = trained, ("evaluate", evaluate)
        path, other = (checkpoint_path(job_of("train", seed).folder, 6) for seed in (0, 1))
        path, other = (path, other) if kept == "checkpoint" else map(tensors_beside, (path, other))
    # Beside the weights a checkpoint holds the seconds that they took.
    weights = tensors_beside(path) if kept == "checkpoint" else path
    before = weights.read_bytes()
    way(path, other)
    with pytest.raises(UserError, match=rf"{path.stem}\..*: .*Make it again: snakemake all .*retry=true"):
        run(job_of(reader[0]), reader[1])
    assert path.name in not_whole(job_of(broken.stage))
    assert waits(job_of(broken.stage), retry=True)
    run(job_of(broken.stage), STAGES[broken.stage])
    assert weights.read_bytes() == before
    run(job_of(reader[0]), reader[1])


class Planted:
    """Runs a command where it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("planted",))


def test_code_that_is_planted_in_a_checkpoint_does_not_run(run_folder):
    path = checkpoint_path(job_of("train").folder, 6)
    for target in (path, tensors_beside(path), path.with_suffix(".pt")):
        target.write_bytes(pickle.dumps(Planted()))
    with pytest.raises(UserError, match=r"step-0000006\.json: damaged or edited"):
        run(job_of("evaluate"), evaluate)
    torch.save({"model": Planted()}, path)
    assert zipfile.is_zipfile(path)
    with pytest.raises(UserError, match=r"step-0000006\.json: damaged or edited"):
        run(job_of("evaluate"), evaluate)
    run(job_of("train"), train)
    assert not os.path.exists("planted")
    assert not path.with_suffix(".pt").exists(), "what is no checkpoint of this training is removed"


def test_the_checkpoint_of_another_training_is_refused(run_folder):
    own, anothers = (checkpoint_path(job_of("train", seed).folder, 6) for seed in (0, 1))
    shutil.copy(anothers, own)
    shutil.copy(tensors_beside(anothers), tensors_beside(own))
    with pytest.raises(UserError, match=r"json: the checkpoint of another training .*Make it again"):
        load_last(job_of("train"))


def test_the_checkpoint_of_another_step_is_refused(run_folder):
    first, last = (checkpoint_path(job_of("train").folder, step) for step in (3, 6))
    shutil.copy(first, last)
    shutil.copy(tensors_beside(first), tensors_beside(last))
    with pytest.raises(UserError, match="the checkpoint after 3 updates, and not after 6"):
        load_last(job_of("train"))


def test_a_changed_fact_of_a_dataset_is_not_read(run_folder):
    source = job_of("dataset")
    source.record.write_text(source.record.read_text().replace('"test_tasks"', '"test_tusks"', 1))
    with pytest.raises(UserError, match=r"dataset\.json: .*damaged.*Make it again"):
        run(job_of("evaluate"), evaluate)


def test_a_training_by_other_options_is_not_evaluated_under_the_name_of_this_one(run_folder):
    changed = suite_with(tiny=TIER.replace("warmup_updates: 2", "warmup_updates: 3"))
    job = Job(changed, "evaluate", "tiny", CELL, 0)
    with pytest.raises(UserError, match=r"train\.json: key fingerprint: its training was made by other code"):
        run(job, evaluate)


def test_a_state_comes_back_as_it_was_written(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    state = {
        "tensors": [shared, shared.T, torch.tensor(3)],
        "array": np.zeros((0, 2), np.int64),
        "numbers": {3: 0.1, "random": 2**127 + 1},
        "nothing": None,
    }
    write_state(tmp_path / "state.json", state)
    found = read_state(tmp_path / "state.json")
    assert all(torch.equal(*pair) for pair in zip(found["tensors"], state["tensors"], strict=True))
    assert (found["array"].dtype, found["array"].shape) == (np.int64, (0, 2))
    assert (found["numbers"], found["nothing"]) == (state["numbers"], None)


def test_a_checkpoint_says_whose_it_is(run_folder):
    trained = job_of("train")
    assert read_checkpoint(trained, 3)["fingerprint"] == trained.fingerprint
    assert {name for name in trained.recorded().files if "/" in name} == {
        f"checkpoints/step-000000{step}.{kind}" for step in (3, 6) for kind in ("json", "safetensors")
    }
