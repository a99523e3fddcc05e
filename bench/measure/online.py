"""How long an online test takes: measured at a few sizes of the context, summed over every step of the test.

An agent with a context of E episodes of up to T steps has min(e, E - 1) T + t steps in it at step t of
episode e. A decision and the start of an episode are timed at a few such sizes and interpolated between
them, since a transformer that reads 4,000 steps again for each of 10,000 decisions takes hours.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from bench.methods.base import OnlineTimed
from bench.seeds import stream

# A decision from a state takes a millisecond: it is repeated until the clock can be trusted.
LEAST_SECONDS, MOST_RUNS = 0.05, 200


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of the work over at least `repeats` runs, after one that is not counted."""
    work()
    seconds: list[float] = []
    until = time.perf_counter() + LEAST_SECONDS
    while len(seconds) < repeats or (time.perf_counter() < until and len(seconds) < MOST_RUNS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def context_sizes(horizon: int, context_episodes: int) -> tuple[list[int], list[int]]:
    """Steps in the context at which a decision, and the start of an episode, are timed."""
    full = (context_episodes - 1) * horizon
    starts = sorted({round(share * (context_episodes - 1)) * horizon for share in (0.0, 0.5, 1.0)})
    return sorted({*starts, full + horizon // 2, full + horizon - 1}), starts


@torch.no_grad()
def online_seconds(
    online: OnlineTimed, horizon: int, context_episodes: int, episodes: int, cached: bool, repeats: int
) -> float:
    """Seconds that `episodes` episodes of `horizon` steps take in one environment, one after the other."""
    generator = stream("probe", "online")
    decided, begun = context_sizes(horizon, context_episodes)
    deciding = []
    for fill in decided:
        work = online(fill, cached, generator)
        deciding.append(median_seconds(work.decide, repeats) / work.decisions)
    beginning = [median_seconds(online(fill, cached, generator).begin, repeats) for fill in begun]
    held = np.minimum(np.arange(episodes), context_episodes - 1) * horizon
    steps = (held[:, None] + np.arange(horizon)).ravel()
    return float(np.interp(steps, decided, deciding).sum() + np.interp(held, begun, beginning).sum())
