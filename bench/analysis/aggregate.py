"""Statistics over many tasks at once, after Agarwal et al. 2021 (arXiv 2108.13264).

Scores are arrays (..., tasks, runs), of one unit over all tasks; every statistic reduces the last
two axes, so that bootstrap draws are one more leading axis. For a single cell see `statistics`:
a bootstrap of three runs covers far less than it says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
DRAWS = 2000


@dataclass(frozen=True)
class Interval:
    """A statistic with its bootstrap interval; numbers, or arrays for a curve."""

    value: Any
    low: Any
    high: Any


def interquartile_mean(scores: Scores) -> Any:
    """Mean of the middle half of all runs of all tasks, (..., tasks, runs) -> (...).

    A quarter of the runs, rounded down, is cut at either end.
    """
    runs = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = runs.shape[-1] // 4
    return runs[..., cut : runs.shape[-1] - cut].mean(axis=-1)


def performance_profile(scores: Scores, thresholds: Scores) -> Any:
    """Share of runs that score above each threshold, (..., tasks, runs) and (k,) -> (..., k)."""
    return (scores[..., None] > thresholds).mean(axis=(-3, -2))


def stratified_bootstrap(
    statistic: Callable[..., Any],
    generator: np.random.Generator,
    *scores: Scores,
    draws: int = DRAWS,
    confidence: float = 0.95,
) -> Interval:
    """The statistic of one or several (tasks, runs) arrays, with its percentile interval.

    Runs are drawn anew within each task (and array), so that every draw has every task in it.
    Raises ValueError where an array has not two axes, or holds a value that is no number.
    """
    drawn = []
    for each in scores:
        if each.ndim != 2 or not np.isfinite(each).all():
            raise ValueError(f"scores must be finite numbers (tasks, runs), got shape {each.shape}")
        chosen = generator.integers(each.shape[1], size=(draws, *each.shape))
        drawn.append(np.take_along_axis(each[None], chosen, axis=2))
    tail = 50 * (1 - confidence)
    low, high = np.percentile(statistic(*drawn), [tail, 100 - tail], axis=0)
    return Interval(statistic(*scores), low, high)
