"""Counts, times and memory of one cell: `python -m bench.probe --task hopper-medium --method dema ...`.

It runs alone on the machine, one thread. Memory comes first, in the fresh process, after one
update on a single sequence; times are medians of `probe_repeats` runs.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bench.counting import macs, macs_by_torch, parameters, parameters_by_fvcore
from bench.memory import peak_during
from bench.methods.base import Learner, make_learner
from bench.record import Rows, stage_command
from bench.runtime import described, one_thread
from bench.spec.jobs import Job
from bench.spec.load import load_catalogue
from bench.spec.seeds import stream, stream_seed

UPDATES = 10_000
MIB = 2**20


def training_step(learner: Learner, sequences: int, generator: np.random.Generator) -> Callable[[], None]:
    """One gradient update on a batch of the true shapes."""
    batch = learner.synthetic_batch(sequences, generator)
    optimiser = torch.optim.AdamW(learner.model.parameters(), lr=learner.options["learning_rate"])
    learner.model.train()

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        learner.loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(learner.model.parameters(), learner.options["gradient_clip"])
        optimiser.step()

    return step


def median_seconds(work: Callable[[], Any], repeats: int) -> float:
    """Median wall time of the work, after one run that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def probe(job: Job) -> tuple[Rows, dict[str, Any]]:
    """Count and measure the cell; the facts hold both ways of counting and what the times are of."""
    one_thread()
    options = job.options
    torch.manual_seed(stream_seed("init", job.cell.key, job.seed))
    learner = make_learner(job.cell.method, options)
    sequences, generator = options["probe_batch_size"], stream("probe", job.cell.key)
    # Kernels are compiled, or read from their cache, before memory is looked at.
    training_step(learner, 1, generator)()
    learner.model.zero_grad(set_to_none=True)
    step = training_step(learner, sequences, generator)
    memory = peak_during(step) / MIB
    step_seconds = median_seconds(step, options["probe_repeats"])
    learner.model.eval()
    with torch.no_grad():
        forward_seconds = median_seconds(learner.decision(generator), options["probe_repeats"])
    single = learner.synthetic_batch(1, generator)
    counted = {"parameters": parameters(learner.model), "macs": macs(learner.model, single)}
    # The time of a full batch follows from the timed one in proportion to its size.
    scale = options["batch_size"] / sequences
    measured = {
        **counted,
        "forward_milliseconds": 1e3 * forward_seconds,
        "training_step_milliseconds": 1e3 * step_seconds,
        "peak_memory_mib": memory,
        "training_hours": step_seconds * scale * UPDATES / 3600,
        **_online(job, learner),
    }
    facts = {
        "parameters_by_fvcore": parameters_by_fvcore(learner.model),
        "macs_by_torch": macs_by_torch(learner.model, single),
        **described(torch.device("cpu")),
        "timed_batch_size": sequences,
        "batch_size_of_training_hours": options["batch_size"],
    }
    return [(name, 0, 0.0, float(value)) for name, value in measured.items()], facts


def _online(job: Job, learner: Learner) -> dict[str, float]:
    """Minutes of a whole online test in one room, for methods that act in context."""
    protocol = load_catalogue().protocols[load_catalogue().tasks[job.cell.task].protocol]
    if protocol.evaluator != "in-context" or not job.options["probe_online"]:
        return {}
    evaluator = importlib.import_module("bench.evaluators.in_context")
    options = job.options
    goals = np.zeros((1, evaluator.goal_columns(options["world"], options["dynamics"])), dtype=np.int64)
    begun = time.perf_counter()
    evaluator.returns_by_episode(learner.policy(1), options, goals, job.cell.task, job.seed)  # type: ignore[attr-defined]
    return {"online_testing_minutes": (time.perf_counter() - begun) / 60}


if __name__ == "__main__":
    stage_command("probe", probe)
