"""Counts, times and memory of one cell: `python -m bench probe --task hopper-medium --method dema ...`.

It runs alone on the machine, one thread. Memory comes first, in the fresh process, after one
update on a single sequence; times are medians of `probe_repeats` runs. With none of them it counts, and
times nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from bench.catalogue.option_types import Options
from bench.errors import UserError
from bench.measure.counting import (
    macs,
    macs_as_published,
    macs_by_torch,
    parameters,
    parameters_by_fvcore,
)
from bench.measure.memory import peak_during
from bench.measure.online import median_seconds, online_seconds
from bench.methods.base import Batch, Learner, OnlineTimed, Timed, make_learner
from bench.methods.spaces import space_of
from bench.nn.attention import use_attention_kernel
from bench.seeds import stream, stream_seed
from bench.stages.runner import stage_command
from bench.stages.runtime import described, one_thread
from bench.work.jobs import Job
from bench.work.record import Facts, Rows

UPDATES = 10_000
MIB = 2**20


def counts(job: Job) -> Rows:
    """The rows of a probe that do not depend on the machine."""
    learner = make_learner(job.cell.method, job.options)
    batch = learner.sampler.synthetic(1, stream("probe", job.cell.key))
    timed = learner.timed(stream("probe", "counts"))
    return [(name, 0, 0.0, float(value)) for name, value in _counted(learner, timed, batch).items()]


def _counted(learner: Learner, timed: Timed, single: Batch) -> dict[str, int]:
    """Parameters, and operations of a pass over a batch of one, ours and as the authors count them."""
    return {
        "parameters": parameters(timed.counted),
        "parameters_as_published": parameters(timed.counted) + learner.unused_parameters(),
        "macs": macs(learner.model, single),
        "macs_as_published": macs_as_published(learner.model, single),
    }


def training_step(learner: Learner, sequences: int, generator: np.random.Generator) -> Callable[[], None]:
    """One gradient update on a batch of the true shapes, where the model is."""
    batch = learner.on_device(learner.sampler.synthetic(sequences, generator))
    optimiser = torch.optim.AdamW(learner.model.parameters(), lr=learner.options["learning_rate"])
    learner.model.train()

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        learner.loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(learner.model.parameters(), learner.options["gradient_clip"])
        optimiser.step()

    return step


def probe(job: Job) -> tuple[Rows, Facts]:
    """Count and measure the cell; the facts hold both ways of counting and what the times are of."""
    options = job.options
    if options["probe_repeats"] == 0:
        return counts(job), described(torch.device("cpu"))
    one_thread()
    torch.manual_seed(stream_seed("init", job.cell.key, job.seed))
    learner = make_learner(job.cell.method, options)
    _choose_kernel(job, learner)
    sequences = min(options["probe_batch_size"], options["batch_size"])
    generator = stream("probe", job.cell.key)
    # Kernels are compiled, or read from their cache, before memory is looked at.
    training_step(learner, 1, generator)()
    learner.model.zero_grad(set_to_none=True)
    step = training_step(learner, sequences, generator)
    memory = peak_during(step) / MIB
    step_seconds = median_seconds(step, options["probe_repeats"])
    learner.model.eval()
    timed = learner.timed(generator)
    with torch.no_grad():
        forward_seconds = median_seconds(timed.decision, options["probe_repeats"])
    single = learner.sampler.synthetic(1, generator)
    # The time of a full batch follows from the timed one in proportion to its size.
    scale = options["batch_size"] / sequences
    measured = {
        **_counted(learner, timed, single),
        "forward_milliseconds": 1e3 * forward_seconds,
        "training_step_milliseconds": 1e3 * step_seconds,
        "peak_memory_mib": memory,
        "training_hours": step_seconds * scale * UPDATES / 3600,
        **_online(options, timed.online),
    }
    facts = {
        "parameters_by_fvcore": parameters_by_fvcore(timed.counted),
        "macs_by_torch": macs_by_torch(learner.model, single),
        **described(torch.device("cpu")),
        "timed_batch_size": sequences,
        "batch_size_of_training_hours": options["batch_size"],
    }
    return [(name, 0, 0.0, float(value)) for name, value in measured.items()], facts


def _choose_kernel(job: Job, learner: Learner) -> None:
    """Compute attention as the options ask; UserError where a method has none to be computed otherwise."""
    kernel = job.options["attention_kernel"]
    if kernel != "fused":
        try:
            use_attention_kernel(learner.model, kernel)
        except ValueError as error:
            raise UserError(f"{job.cell.key}: {error}; leave the option out.") from None


@torch.no_grad()
def _online(options: Options, online: OnlineTimed | None) -> dict[str, float]:
    """Minutes of an online test in one environment: as the papers timed it, and with a key-value cache."""
    if not options["probe_online"] or online is None:
        return {}
    test = {
        "horizon": space_of(options).horizon,
        "context_episodes": options.get("context_episodes", 1),
        "episodes": options.get("episodes", options.get("evaluation_episodes", 1)),
        "repeats": options["probe_repeats"],
    }
    plain = online_seconds(online, cached=False, **test) / 60
    cached = online_seconds(online, cached=True, **test) / 60
    return {"online_testing_minutes": plain, "cached_online_testing_minutes": cached}


main = stage_command("probe", probe)
