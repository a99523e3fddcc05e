"""Intervals of a cell over its seeds, and of an average over cells."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95
# Fewer seeds say too little of their own spread for an interval: a t-interval of two is twelve times as
# wide as they lie apart. What has so few is shown seed by seed. Our choice.
FEWEST_SEEDS = 3


@dataclass(frozen=True)
class Summary:
    """A mean over n seeds with its 95 % t-interval, whose ends are NaN below FEWEST_SEEDS.

    `error` is the standard error of the mean, `degrees` the degrees of freedom it is known with; both are NaN
    where n = 1.
    """

    mean: float
    low: float
    high: float
    n: int
    error: float = math.nan
    degrees: float = math.nan

    def as_row(self) -> dict[str, float]:
        """Mean, interval, n and standard error, as columns of a table."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "n": self.n, "error": self.error}


def half_width(error: Any, degrees: Any, confidence: float = CONFIDENCE) -> Any:
    """Half of a two-sided t-interval, in the unit of the standard error; numbers or arrays."""
    return stdtrit(degrees, 0.5 + confidence / 2) * error


def summarise(values: Iterable[float], confidence: float = CONFIDENCE) -> Summary:
    """Mean and two-sided t-interval over seeds.

    A percentile bootstrap of three values covers 75 % in place of 95 %; the t-interval covers what
    it says for near-normal seeds.
    """
    array = np.asarray(list(values), dtype=float)
    if array.size == 0:
        raise ValueError("values must hold at least one number")
    mean, n = float(array.mean()), int(array.size)
    if n == 1:
        return Summary(mean, math.nan, math.nan, 1)
    error = float(array.std(ddof=1) / math.sqrt(n))
    return _around(mean, n, error, n - 1, confidence)


def _around(mean: float, n: int, error: float, degrees: float, confidence: float = CONFIDENCE) -> Summary:
    """A mean with the interval that its standard error gives it, if it has the seeds for one."""
    half = float(half_width(error, degrees, confidence)) if n >= FEWEST_SEEDS else math.nan
    return Summary(mean, mean - half, mean + half, n, error, degrees)


def average(summaries: Iterable[Summary]) -> Summary:
    """The mean of independent cells' means, these cells and no others: its noise is that of their seeds.

    Degrees of freedom are Welch and Satterthwaite's; n is the smallest of the cells'. Without an
    interval where a cell has fewer than FEWEST_SEEDS.
    """
    cells = list(summaries)
    mean, n = float(np.mean([cell.mean for cell in cells])), min(cell.n for cell in cells)
    if n == 1:
        return Summary(mean, math.nan, math.nan, 1)
    variances = np.array([cell.error for cell in cells]) ** 2
    of_each = np.array([cell.degrees for cell in cells])
    error = float(math.sqrt(variances.sum()) / len(cells))
    # Cells without any spread say nothing of how well the others' is known.
    known = float((variances**2 / of_each).sum())
    degrees = float(variances.sum() ** 2 / known) if known > 0 else float(of_each.sum())
    return _around(mean, n, error, degrees)
