"""Counts, times and memory of one cell: `python -m bench probe --task hopper-medium --method dema ...`.

It runs alone on the machine, one thread. Memory comes first, in the fresh process, after one
update on a single sequence. Times are processor times, by the median of `probe_repeats` repeats. A cell with
`timed_against` is measured in turns with its rival, and its record holds their ratios and nothing else.
With no repeats it counts, and times nothing.
"""

from __future__ import annotations

import torch

from bench.catalogue.option_types import Options
from bench.errors import UserError
from bench.measure.cost import counted, first_step_memory, online_timings, training_step, warm_up
from bench.measure.counting import macs_by_torch, parameters_by_fvcore
from bench.measure.stopwatch import Stopwatch, once
from bench.measure.turns import Pair, exact_ratios, sequences_of, take_turns
from bench.methods.base import Learner, make_learner
from bench.nn.attention import use_attention_kernel
from bench.seeds import stream, stream_seed
from bench.stages.runner import stage_command
from bench.stages.runtime import described, one_thread
from bench.work.jobs import Job
from bench.work.record import Facts, Rows

UPDATES = 10_000


def counts(job: Job) -> Rows:
    """The rows of a probe that do not depend on the machine."""
    learner = make_learner(job.cell.method, job.options)
    if job.rival:
        return _single(exact_ratios(Pair(learner, make_learner(job.rival.cell.method, job.rival.options))))
    single = learner.sampler.synthetic(1, stream("probe", job.cell.key))
    return _single(counted(learner, learner.timed(stream("probe", "counts")), single))


def probe(job: Job) -> tuple[Rows, Facts]:
    """Count and measure the cell, alone or in turns; the facts say what the times are of and their spread."""
    if job.options["probe_repeats"] == 0:
        return counts(job), described(torch.device("cpu"))
    one_thread()
    watch = Stopwatch()
    rows, facts = _in_turns(job, watch) if job.rival else _alone(job, watch)
    return rows, {
        **facts,
        **described(torch.device("cpu")),
        "timed_wall_seconds": round(watch.wall_seconds, 3),
        "timed_processor_seconds": round(watch.processor_seconds, 3),
    }


def _single(values: dict[str, float] | dict[str, int]) -> Rows:
    return [(name, 0, 0.0, float(value)) for name, value in values.items()]


def _learner(job: Job, method: str, options: Options) -> Learner:
    torch.manual_seed(stream_seed("init", job.cell.key, job.seed))
    return make_learner(method, options)


def _alone(job: Job, watch: Stopwatch) -> tuple[Rows, Facts]:
    """Counts, memory and times of the cell."""
    options, repeats = job.options, job.options["probe_repeats"]
    learner = _learner(job, job.cell.method, options)
    _choose_kernel(job, learner)
    sequences = sequences_of(options)
    generator = stream("probe", job.cell.key)
    warm_up(learner, generator)
    step = training_step(learner, sequences, generator)
    memory = first_step_memory(step)
    update = watch.measure(once(step), repeats)
    learner.model.eval()
    timed = learner.timed(generator)
    single = learner.sampler.synthetic(1, generator)
    # The time of a full batch follows from the timed one in proportion to its size.
    scale = options["batch_size"] / sequences
    with torch.no_grad():
        times = {
            "forward_milliseconds": watch.measure(once(timed.decision), repeats).times(1e3),
            "training_step_milliseconds": update.times(1e3),
            "training_hours": update.times(scale * UPDATES / 3600),
            **{
                metric: watch.measure(test, repeats).times(1 / 60)
                for metric, test in online_timings(learner, timed).items()
            },
        }
    rows = _single(counted(learner, timed, single)) + _single({"peak_memory_mib": memory})
    facts = {
        "parameters_by_fvcore": parameters_by_fvcore(timed.counted),
        "macs_by_torch": macs_by_torch(learner.model, single),
        "timed_batch_size": sequences,
        "batch_size_of_training_hours": options["batch_size"],
        "quartiles": {metric: [spread.low, spread.high] for metric, spread in times.items()},
    }
    return rows + _single({metric: spread.median for metric, spread in times.items()}), facts


def _in_turns(job: Job, watch: Stopwatch) -> tuple[Rows, Facts]:
    """The rival's memory, times and counts over the cell's own."""
    rival, options = job.rival, job.options
    assert rival is not None
    pair = Pair(_learner(job, job.cell.method, options), _learner(job, rival.cell.method, rival.options))
    _choose_kernel(job, *pair)
    sequences = sequences_of(options, rival.options)
    found = take_turns(pair, sequences, options["probe_turns"], watch, stream("probe", job.cell.key))
    rows = _single(exact_ratios(pair))
    for metric, ratios in found.ratios.items():
        rows += [(metric, 0, float(turn), ratio) for turn, ratio in enumerate(ratios)]
    facts = {"rival": rival.cell.key, "timed_batch_size": sequences, "turns": found.seconds}
    return rows, facts


def _choose_kernel(job: Job, *learners: Learner) -> None:
    """Compute attention as the options ask; UserError where no learner has any to be computed otherwise."""
    kernel = job.options["attention_kernel"]
    if kernel == "fused":
        return
    refused: list[ValueError] = []
    for learner in learners:
        try:
            use_attention_kernel(learner.model, kernel)
        except ValueError as error:
            refused.append(error)
    if len(refused) == len(learners):
        raise UserError(f"{job.cell.key}: {refused[0]}; leave the option out.")


main = stage_command("probe", probe)
