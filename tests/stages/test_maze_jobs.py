"""The stages of a maze cell, run as the workflow runs them, and one whose data is not to be had."""

import json

import pytest
from suites import suite_with

from bench.analysis.readings import read_entry
from bench.stages.dataset import dataset
from bench.stages.evaluate import evaluate
from bench.stages.runner import run
from bench.stages.train import train
from bench.work.cells import make_cell
from bench.work.entries import entries
from bench.work.jobs import Job, dataset_job

TINY_TIER = """
title: Mazes on almost nothing
budget: reduced
budgets:
  - label: mazes
    tasks: [maze2d-umaze, antmaze-umaze]
    methods: [dt, dema]
    stages: [train, evaluate]
    options: {transitions: 900, embedding_dim: 16, layers: 1, batch_size: 4, context_length: 2, updates: 2,
      checkpoints: 1, evaluation_episodes: 2, target_multiples: "1"}
    core_seconds: {train: 1, evaluate: 1}
"""


SUITE = suite_with(tiny=TINY_TIER)


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory):
    """A working folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("mazes"))
        yield


def finish(task, method):
    """Records of the dataset, the training and the evaluation of a cell."""
    cell = make_cell(SUITE.catalogue, task, method, {})
    jobs = [
        dataset_job(SUITE, "tiny", cell),
        Job(SUITE, "train", "tiny", cell, 0),
        Job(SUITE, "evaluate", "tiny", cell, 0),
    ]
    for job, work in zip(jobs, (dataset, train, evaluate), strict=True):
        run(job, work)
    return [json.loads(job.record.read_text()) for job in jobs]


@pytest.mark.parametrize("method", ["dt", "dema"])
def test_a_maze_is_walked_learnt_and_evaluated(method):
    data, trained, evaluated = finish("maze2d-umaze", method)
    assert [record["status"] for record in (data, trained, evaluated)] == ["ok"] * 3
    assert data["facts"]["transitions"] == 900
    assert "gymnasium_robotics" in data["parts"]["packages"]
    (entry,) = (
        e
        for e in entries(SUITE, "dema_table16", "tiny")
        if (e.cell.task, e.cell.method) == ("maze2d-umaze", method)
    )
    reading = read_entry(entry, "tiny")
    assert reading.status == "ok"
    # A return of 0 to 300 between D4RL's references.
    assert -17.3 < reading.summary.mean < 200.1


def test_antmaze_is_unavailable_at_every_stage_and_in_its_table_with_the_reason():
    records = finish("antmaze-umaze", "dema")
    statuses = {record["status"] for record in records}
    (status,) = statuses
    assert status.startswith("unavailable: there is no data for antmaze-umaze: the ant ")
    (entry,) = (
        e
        for e in entries(SUITE, "dema_table16", "tiny")
        if (e.cell.task, e.cell.method) == ("antmaze-umaze", "dema")
    )
    assert read_entry(entry, "tiny").status == status
