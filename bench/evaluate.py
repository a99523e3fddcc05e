"""Evaluate every checkpoint of a trained cell: `python -m bench.evaluate --task darkroom ...`."""

from __future__ import annotations

import importlib
from typing import Any

import torch

from bench.methods.base import make_learner
from bench.record import Rows, require_ok, stage_command
from bench.runtime import described, one_thread
from bench.spec.built import evaluator_module
from bench.spec.errors import DatasetError, UserError
from bench.spec.jobs import Job, dataset_job
from bench.train import checkpoint_path, checkpoint_steps


def evaluate(job: Job) -> tuple[Rows, dict[str, Any]]:
    """Scores of every checkpoint, in the order of training; nothing is selected here."""
    one_thread()
    trained = job.upstream[0]
    require_ok("its training", (trained.recorded() or {}).get("status", "not made"))
    evaluator = importlib.import_module(evaluator_module(job.cell))
    source = dataset_job(job.tier, job.cell)
    facts = (source.recorded() or {}).get("facts")
    if facts is None:
        raise DatasetError(f"{source.record}: missing or damaged. Delete {source.folder} and run again.")
    learner = make_learner(job.cell.method, job.options)
    rows: Rows = []
    for step in checkpoint_steps(trained.options):
        path = checkpoint_path(trained.folder, step)
        if not path.exists():
            raise UserError(
                f"{path}: missing, although {trained.record} says the cell is trained. "
                f"Delete {trained.folder} and run again: the cell is then trained anew."
            )
        saved = torch.load(path, map_location="cpu", weights_only=False)
        learner.model.load_state_dict(saved["model"])
        learner.restore(saved["learner"])
        learner.model.eval()
        rows += [
            (metric, step, index, value)
            for metric, index, value in evaluator.evaluate(
                learner, job.options, job.cell.task, job.seed, facts
            )
        ]
    return rows, {"checkpoints": checkpoint_steps(trained.options), **described(torch.device("cpu"))}


if __name__ == "__main__":
    stage_command("evaluate", evaluate)
