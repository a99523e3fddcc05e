"""Unchanged code raises no alarm: a small cell, really trained with many seeds, and with one once more."""

import pytest
from suites import suite_with

from bench.analysis.regression import compare, scores
from bench.commands.regress import read_run
from bench.stages.dataset import dataset
from bench.stages.evaluate import evaluate
from bench.stages.runner import run
from bench.stages.train import train
from bench.work.cells import parse_slug
from bench.work.jobs import Job, dataset_job

TIER = """
title: A room for many seeds
budget: reduced
budgets:
  - label: almost nothing
    tasks: [darkroom]
    methods: [ad-mamba]
    stages: [train, evaluate]
    options: {room_side: 5, train_tasks: 16, test_tasks: 9, history_steps: 20000, horizon: 10,
      evaluation_environments: 9, episodes: 3, context_episodes: 3, step_tokens: merged, embedding_dim: 16,
      layers: 1, batch_size: 4, updates: 6, checkpoints: 1, dropout: 0.0}
    core_seconds: {train: 1, evaluate: 1}
"""
STORED, RUNS = 5, 20
SUITE = suite_with(quick=TIER)


def trained(seed):
    """Train and evaluate the cell with a seed; the job of its evaluation."""
    cell = parse_slug(SUITE.catalogue, "darkroom", "ad-mamba", "default")
    run(Job(SUITE, "train", "quick", cell, seed), train)
    job = Job(SUITE, "evaluate", "quick", cell, seed)
    run(job, evaluate)
    return job


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory):
    """What the evaluations of five stored and twenty new seeds hold, and that of the first seed again."""
    folder = tmp_path_factory.mktemp("seeds")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(
            dataset_job(SUITE, "quick", parse_slug(SUITE.catalogue, "darkroom", "ad-mamba", "default")),
            dataset,
        )
        held = read_run([trained(seed) for seed in range(STORED + RUNS)])
        for path in folder.glob("results/**/checkpoints/*"):
            path.unlink()
        yield held, read_run([trained(0)])


def test_twenty_runs_with_other_seeds_raise_no_alarm(evaluations):
    held, _ = evaluations
    store = {key: one for key, one in held.items() if key.seed < STORED}
    for key in held.keys() - store.keys():
        compared = compare(SUITE.catalogue, {key: held[key]}, store, {key}, lambda key: False)
        assert compared.findings == []
        assert compared.intervals == 1
    (by_seed,) = scores(SUITE.catalogue, held).values()
    assert len(set(by_seed.values())) > 1


def test_the_same_seed_again_gives_equal_numbers(evaluations):
    held, again = evaluations
    compared = compare(SUITE.catalogue, again, held, set(again), lambda key: True)
    assert compared.findings == []
    assert compared.exact > 0


def test_a_collapse_of_the_score_is_told_from_the_seeds(evaluations):
    held, _ = evaluations
    store = {key: one for key, one in held.items() if key.seed < STORED}
    key = max(held)
    fallen = held[key].rows.assign(value=held[key].rows["value"] - 100.0)
    (found,) = compare(
        SUITE.catalogue, {key: type(held[key])(held[key].record, fallen)}, store, {key}, lambda key: False
    ).findings
    assert found.why.startswith("improbable loss")
