"""Estimates of a comparison's effect, each with what its interval is made of.

Everything is on an additive scale: differences of scores, logarithms of ratios. Arrays may have leading axes,
one entry for each simulated repetition, so that error rates are computed by the very code that decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from bench.analysis.statistics import FEWEST_SEEDS

Floats = NDArray[np.float64]
# A task or a turn says as much of its spread as a seed does.
FEWEST_UNITS = FEWEST_SEEDS


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error, the degrees of freedom that is known with, and a fixed tolerance.

    All may be arrays of one shape. A count has neither error nor tolerance; `degrees` is then infinite.
    """

    mean: Floats
    error: Floats
    degrees: Floats
    tolerance: float = 0.0

    def interval(self, confidence: float | Floats) -> tuple[Floats, Floats]:
        """Both ends of the two-sided interval, widened by the tolerance on either side."""
        quantile = np.where(np.isinf(self.degrees), 0.0, stdtrit(self.degrees, 0.5 + confidence / 2))
        half = quantile * self.error + self.tolerance
        return self.mean - half, self.mean + half


def exact(values: Sequence[float], tolerance: float = 0.0) -> Estimate:
    """The mean of readings that do not vary, or vary within a known tolerance."""
    mean = np.asarray(float(np.mean(values)))
    return Estimate(mean, np.zeros(()), np.full((), math.inf), tolerance)


def over_groups(means: Sequence[Floats], variances: Sequence[Floats], sizes: Sequence[int]) -> Estimate:
    """The mean of independent groups' means, these groups and no others: its noise is that within them.

    `means` and `variances` (of one unit) of each group; degrees of freedom are Welch and Satterthwaite's.
    """
    squared = np.stack([variance / size for variance, size in zip(variances, sizes, strict=True)])
    degrees = np.array([size - 1.0 for size in sizes]).reshape(-1, *[1] * (squared.ndim - 1))
    total, known = squared.sum(axis=0), (squared**2 / degrees).sum(axis=0)
    # Groups without any spread say nothing of how well the others' is known.
    shared = np.divide(total**2, known, out=np.full_like(total, degrees.sum()), where=known > 0)
    return Estimate(np.mean(np.stack(means), axis=0), np.sqrt(total) / len(means), shared)


def over_units(mean: Floats, variance: Floats, count: int) -> Estimate:
    """The mean of `count` units alike, drawn from a population that the interval speaks of."""
    return over_groups([mean], [variance], [count])


def moments(values: Floats) -> tuple[Floats, Floats]:
    """Mean and variance (n - 1) along the last axis."""
    return np.asarray(values.mean(axis=-1)), np.asarray(values.var(axis=-1, ddof=1))
