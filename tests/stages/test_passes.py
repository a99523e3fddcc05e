"""RNN-like training: a batch that serves several updates, and passes over trajectories (DeMa D.2)."""

from __future__ import annotations

import importlib
import math

import pytest
import torch
from suites import suite_with

from bench.stages.checkpoints import checked_data, checkpoint_steps, training_options
from bench.stages.dataset import dataset
from bench.stages.evaluate import evaluate
from bench.stages.runner import run
from bench.stages.train import Run, train
from bench.work.availability import collector_module
from bench.work.cells import make_cell
from bench.work.jobs import Job, dataset_job
from bench.work.state_files import read_state

TIER = """
title: Whole trajectories on almost nothing
budget: reduced
budgets:
  - label: hopper
    tasks: [hopper-medium]
    methods: [dema]
    settings: {mode: any, updates_per_batch: any, epochs: any}
    stages: [train, evaluate]
    options: {transitions: 1200, embedding_dim: 16, layers: 1, batch_size: 2, updates: 8, warmup_updates: 2,
      checkpoints: 2, evaluation_episodes: 2, max_episode_steps: 40}
    core_seconds: {train: 1, evaluate: 1}
"""
SUITE = suite_with(tiny=TIER)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the dataset."""
    monkeypatch.chdir(tmp_path)
    job = dataset_job(SUITE, "tiny", make_cell(SUITE.catalogue, "hopper-medium", "dema", {}))
    run(job, dataset)
    return job.recorded().facts


def job_of(stage, **settings):
    cell = make_cell(SUITE.catalogue, "hopper-medium", "dema", {"mode": "recurrent", **settings})
    return Job(SUITE, stage, "tiny", cell, 0)


def test_a_batch_serves_as_many_updates_as_asked_for_and_then_another_is_drawn(place):
    one = Run(job_of("train", updates_per_batch=3))
    one.learner.prepare(_data(one.job))
    served = []
    for _ in range(8):
        one.update()
        served.append(one.batch["states"])
    same = [torch.equal(served[i], served[i + 1]) for i in range(7)]
    assert same == [True, True, False, True, True, False, True]


def test_a_run_that_is_taken_up_within_a_batch_ends_with_the_same_weights(place, monkeypatch):
    job = job_of("train", updates_per_batch=3)  # checkpoints after 4 and 8 updates: the first within a batch
    run(job, train)
    path = job.folder / "checkpoints" / "step-0000008.json"
    whole = read_state(path)["model"]
    path.unlink()
    job.record.unlink()
    run(job, train)
    assert str(job.recorded().status) == "ok"
    for name, weight in read_state(path)["model"].items():
        assert torch.equal(weight, whole[name]), name


def test_epochs_are_passes_over_the_trajectories_and_take_the_place_of_updates(place):
    job = job_of("train", epochs=2, updates_per_batch=3)
    expected = 2 * math.ceil(place["trajectories"] / 2) * 3
    assert training_options(job)["updates"] == expected != 8
    run(job, train)
    assert job.recorded().facts["updates"] == expected
    run(job_of("evaluate", epochs=2, updates_per_batch=3), evaluate)
    facts = job_of("evaluate", epochs=2, updates_per_batch=3).recorded().facts
    assert facts["checkpoints"] == checkpoint_steps({"updates": expected, "checkpoints": 2})


def _data(job):
    collector = importlib.import_module(collector_module(job.suite.catalogue, job.cell.task))
    return collector.load(checked_data(job.upstream[0]))
