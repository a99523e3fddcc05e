"""Evaluate every checkpoint of a trained cell: `python -m bench.evaluate --task darkroom ...`."""

from __future__ import annotations

import importlib
from typing import Any

import torch

from bench.methods.base import make_learner
from bench.record import Rows, stage_command
from bench.runtime import described, one_thread
from bench.spec.built import evaluator_module
from bench.spec.jobs import Job
from bench.train import checkpoint_steps
from bench.trained import dataset_facts, load_checkpoint, options_of_test, require


def evaluate(job: Job) -> tuple[Rows, dict[str, Any]]:
    """Scores of every checkpoint, in the order of training; nothing is selected here."""
    one_thread()
    trained = job.upstream[0]
    require(trained)
    evaluator = importlib.import_module(evaluator_module(job.cell))
    facts = dataset_facts(job)
    options = options_of_test(job)
    learner = make_learner(job.cell.method, options)
    rows: Rows = []
    for step in checkpoint_steps(trained.options):
        load_checkpoint(learner, trained, step)
        rows += [
            (metric, step, index, value)
            for metric, index, value in evaluator.evaluate(learner, options, job.cell.task, job.seed, facts)
        ]
    return rows, {"checkpoints": checkpoint_steps(trained.options), **described(torch.device("cpu"))}


if __name__ == "__main__":
    stage_command("evaluate", evaluate)
