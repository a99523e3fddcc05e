"""Where a new run's score would lie if nothing had changed, foretold from the seeds of the store.

The mean of m new seeds lies within t s sqrt(1/n + 1/m) of the mean of n stored ones, where s is the spread
between seeds and t the quantile of Student's distribution. Two or three seeds tell a spread badly, so that of
all stored cells of one task and metric is pooled: it is taken to be the same for each of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.analysis.statistics import half_width

# How often a whole run of unchanged code may raise an alarm, over all its comparisons together.
FALSE_ALARMS = 0.01


@dataclass(frozen=True)
class Spread:
    """Standard deviation between seeds, and the degrees of freedom it is known with; 0 and 0 if unknown."""

    deviation: float
    degrees: int


def pooled_spread(cells: Iterable[Sequence[float]]) -> Spread:
    """The spread that cells have in common, each given by its seeds' scores.

    Cells of one seed say nothing of it.
    """
    arrays = [np.asarray(cell, dtype=float) for cell in cells]
    degrees = sum(len(array) - 1 for array in arrays if len(array))
    if not degrees:
        return Spread(0.0, 0)
    squares = sum(float(((array - array.mean()) ** 2).sum()) for array in arrays if len(array) > 1)
    return Spread(math.sqrt(squares / degrees), degrees)


def prediction_half_width(spread: Spread, stored: int, new: int, comparisons: int) -> float:
    """How far the mean of `new` seeds may lie from that of `stored` ones, as one of several comparisons.

    The rate of false alarms is divided evenly among them (Bonferroni), so that it holds for all together
    however they depend on each other. `spread` has to be known.
    """
    error = spread.deviation * math.sqrt(1 / stored + 1 / new)
    return float(half_width(error, spread.degrees, 1 - FALSE_ALARMS / comparisons))
