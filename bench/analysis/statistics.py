"""Intervals of a cell over its seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True)
class Summary:
    """A mean over n seeds with its 95 % t-interval; the bounds are NaN for n = 1."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def standard_error(self) -> float:
        """Of the mean, as the interval implies it; NaN for n = 1."""
        if self.n == 1:
            return math.nan
        return (self.high - self.mean) / float(stdtrit(self.n - 1, 0.975))

    def as_row(self) -> dict[str, float]:
        """Its fields, as columns of a table."""
        return asdict(self)


def summarise(values: Iterable[float], confidence: float = 0.95) -> Summary:
    """Mean and two-sided t-interval over seeds.

    A percentile bootstrap of three values covers 75 % in place of 95 %; the t-interval covers what
    it says for near-normal seeds, and is honest about how little two seeds tell.
    """
    array = np.asarray(list(values), dtype=float)
    if array.size == 0:
        raise ValueError("values must hold at least one number")
    mean = float(array.mean())
    if array.size == 1:
        return Summary(mean, math.nan, math.nan, 1)
    half = float(stdtrit(array.size - 1, 0.5 + confidence / 2) * array.std(ddof=1) / math.sqrt(array.size))
    return Summary(mean, mean - half, mean + half, int(array.size))
