"""Where a new run's scores would lie if nothing had changed, foretold from the seeds of the store.

The mean of m new seeds lies within t s sqrt(1/n + 1/m) of the mean of n stored ones, where s is the spread
between seeds and t a quantile of Student's distribution. Two or three seeds tell a spread badly, so that of
all stored cells of a family (one task and metric) is pooled: it is taken to be the same for each of them.
The rate of false alarms is divided evenly among the comparisons (Bonferroni), so that it holds for all of
them together, however they depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from bench.analysis.statistics import half_width

# How often a whole run of unchanged code may raise an alarm, over all its comparisons together.
FALSE_ALARMS = 0.01
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Spread:
    """Standard deviation between seeds, and the degrees of freedom it is known with; 0 and 0 if unknown."""

    deviation: float
    degrees: int


@dataclass(frozen=True)
class Foretold:
    """The interval in which the mean of the new seeds should lie."""

    mean: float
    half: float

    def holds(self, value: float) -> bool:
        """Whether a value lies in it."""
        return abs(value - self.mean) <= self.half


def pooled_spread(cells: Iterable[Sequence[float]]) -> Spread:
    """The spread that cells have in common, each given by its seeds' scores; one seed says nothing of it."""
    arrays = [np.asarray(cell, dtype=float) for cell in cells]
    degrees = sum(array.size - 1 for array in arrays)
    if not degrees:
        return Spread(0.0, 0)
    # The rounded mean of equal scores need not be equal to them.
    squares = sum(float(((array - array.mean()) ** 2).sum()) for array in arrays if np.ptp(array) > 0)
    return Spread(math.sqrt(squares / degrees), degrees)


def foretell(
    stored: Mapping[Name, Sequence[float]], new: Mapping[Name, int], family: Callable[[Name], Hashable]
) -> dict[Name, Foretold]:
    """The interval for each cell, given the scores of the stored seeds and how many seeds are new.

    A cell is left out where the store does not have it, or no spread of its family: all seeds of it are alone
    in their cells, or equal.
    """
    families: dict[Hashable, list[Sequence[float]]] = {family(name): [] for name in new}
    for name, scores in stored.items():
        if family(name) in families:
            families[family(name)].append(scores)
    spreads = {one: pooled_spread(cells) for one, cells in families.items()}
    known = [name for name in new if name in stored and spreads[family(name)].deviation > 0]
    intervals = {}
    for name in known:
        spread = spreads[family(name)]
        error = spread.deviation * math.sqrt(1 / len(stored[name]) + 1 / new[name])
        half = float(half_width(error, spread.degrees, 1 - FALSE_ALARMS / len(known)))
        intervals[name] = Foretold(float(np.mean(stored[name])), half)
    return intervals
