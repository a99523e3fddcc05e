"""Evaluate every checkpoint of a trained cell: `python -m bench evaluate --task darkroom ...`."""

from __future__ import annotations

import torch

from bench.methods.base import make_learner
from bench.stages.checkpoints import (
    checkpoint_steps,
    dataset_facts,
    imported_test,
    load_checkpoint,
    require_trained,
    test_options,
    training_options,
)
from bench.stages.runner import stage_command
from bench.stages.runtime import described, one_thread
from bench.work.jobs import Job
from bench.work.record import Facts, Rows


def evaluate(job: Job) -> tuple[Rows, Facts]:
    """Scores of every checkpoint, in the order of training; nothing is selected here."""
    one_thread()
    trained = job.upstream[0]
    require_trained(trained)
    evaluator, test = imported_test(job)
    facts = dataset_facts(job)
    options = test_options(job)
    learner = make_learner(job.cell.method, options)
    rows: Rows = []
    steps = checkpoint_steps(training_options(trained))
    for step in steps:
        load_checkpoint(learner, trained, step)
        rows += [
            (metric, step, index, value)
            for metric, index, value in evaluator.evaluate(
                learner, test, options, job.cell.task, job.seed, facts
            )
        ]
    return rows, {"checkpoints": steps, **described(torch.device("cpu"))}


main = stage_command("evaluate", evaluate)
