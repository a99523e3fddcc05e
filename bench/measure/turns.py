"""A learner and its rival measured in one process: times in turns, so that both meet the same machine.

Every ratio is the rival's number over the learner's own: above 1 where the rival costs more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from bench.measure.cost import (
    counted,
    first_step_memory,
    online_timings,
    training_step,
    warm_up,
)
from bench.measure.stopwatch import Stopwatch, Timing, once, spread_of
from bench.methods.base import Learner
from bench.seeds import stream

# The metric of a cell alone -> that of the turns.
ONLINE = {
    "online_testing_minutes": "rival_online_ratio",
    "cached_online_testing_minutes": "rival_cached_online_ratio",
}


class Pair(NamedTuple):
    """A cell's learner, and that of the rival it is timed against."""

    own: Learner
    rival: Learner


class Turns(NamedTuple):
    """Metric -> the ratio of each turn, and what a record says of the seconds behind it."""

    ratios: dict[str, list[float]]
    seconds: dict[str, Any]


def exact_ratios(pair: Pair) -> dict[str, float]:
    """Parameters, and operations of a pass over one sequence: the rival's over the learner's."""
    sizes = []
    for learner in pair:
        timed = learner.timed(stream("probe", "counts"))
        sizes.append(counted(learner, timed, learner.sampler.synthetic(1, stream("probe", "counts"))))
    own, rival = sizes
    return {
        "rival_parameter_ratio": rival["parameters"] / own["parameters"],
        "rival_macs_ratio": rival["macs"] / own["macs"],
    }


def take_turns(
    pair: Pair, sequences: int, turns: int, watch: Stopwatch, generator: np.random.Generator
) -> Turns:
    """Memory of an update, then times of updates, decisions and online tests, in so many turns each.

    An update is on `sequences` sequences for both. Online tests are timed where both have one. In a fresh
    process memory comes first.
    """
    found = Turns({}, {})
    for learner in pair:
        warm_up(learner, generator)
    steps = [training_step(learner, sequences, generator) for learner in pair]
    own, rival = (first_step_memory(step) for step in steps)
    found.ratios["rival_memory_ratio"] = [rival / own] if own > 0 else []
    found.seconds["peak_memory_mib"] = [round(own, 2), round(rival, 2)]
    _add(found, watch, "rival_training_ratio", [once(step) for step in steps], turns)
    for learner in pair:
        learner.model.eval()
    with torch.no_grad():
        timed = [learner.timed(generator) for learner in pair]
        _add(found, watch, "rival_forward_ratio", [once(one.decision) for one in timed], turns)
        tests = [online_timings(*one) for one in zip(pair, timed, strict=True)]
        for alone, metric in ONLINE.items():
            if all(alone in test for test in tests):
                _add(found, watch, metric, [test[alone] for test in tests], turns)
    return found


def _add(found: Turns, watch: Stopwatch, metric: str, timings: list[Timing], turns: int) -> None:
    own, rival = timings
    seconds = watch.in_turns(own, rival, turns)
    found.ratios[metric] = [theirs / ours for ours, theirs in seconds]
    found.seconds[metric] = {
        "ratio": spread_of(found.ratios[metric]),
        "own_seconds": spread_of([ours for ours, _ in seconds]),
        "rival_seconds": spread_of([theirs for _, theirs in seconds]),
    }


def sequences_of(options: Mapping[str, Any], *others: Mapping[str, Any]) -> int:
    """Sequences in a timed update: as many as the probe asks for, and as every side's batch holds."""
    return min(options["probe_batch_size"], *(side["batch_size"] for side in (options, *others)))
