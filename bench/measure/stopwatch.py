"""Processor time of pieces of work: medians of one, or two in turns in one process.

Processor time counts what this process used, and not what it waited while others ran. Wall time is taken
beside it, so that a record can say how busy the machine was. A process here has one thread.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

Work = Callable[[], object]
Clock = Callable[[], float]

# All pieces of a timing are timed for so long together or longer, and each for so many ticks of the clock or
# more, of which one is then below 1 %.
LEAST_SECONDS, LEAST_TICKS, MOST_RUNS = 0.05, 100, 10_000


class Timing(NamedTuple):
    """What has one time: pieces of work, and the seconds of the whole from those of a run of each."""

    works: tuple[Work, ...]
    total: Callable[[Sequence[float]], float]


class Spread(NamedTuple):
    """The median of several values between their quartiles."""

    low: float
    median: float
    high: float

    def times(self, factor: float) -> Spread:
        """The same in another unit, or of more of the same work."""
        return Spread(*(factor * value for value in self))


def once(work: Work) -> Timing:
    """The time of one piece of work."""
    return Timing((work,), lambda seconds: seconds[0])


def spread_of(values: Sequence[float]) -> Spread:
    """Median and quartiles of two values or more."""
    return Spread(*statistics.quantiles(values, n=4, method="inclusive"))


class Stopwatch:
    """Times work on a clock of processor time, and adds up what was timed on it and on the wall's.

    Attributes: `processor_seconds` and `wall_seconds`, of all that was timed so far.
    """

    def __init__(
        self,
        processor: Clock = time.process_time,
        wall: Clock = time.perf_counter,
        tick: float | None = None,
    ) -> None:
        """`tick` is what the clock of processor time advances by at least; by default what it says itself."""
        self.processor, self.wall = processor, wall
        self.tick = time.get_clock_info("process_time").resolution if tick is None else tick
        self.processor_seconds = self.wall_seconds = 0.0

    def measure(self, timing: Timing, repeats: int) -> Spread:
        """Processor seconds of the whole, by the median and the quartiles of `repeats` times of each work."""
        spreads = []
        for work, runs in zip(timing.works, self._runs_of(timing), strict=True):
            spreads.append(spread_of([self._seconds(work, runs) for _ in range(repeats)]))
        return Spread(*(timing.total(column) for column in zip(*spreads, strict=True)))

    def in_turns(self, own: Timing, rival: Timing, turns: int) -> list[tuple[float, float]]:
        """Processor seconds of both in each turn, own first; who begins changes from turn to turn.

        How often a turn does each work is chosen before the first turn and stays.
        """
        sides = (own, rival)
        runs = [self._runs_of(side) for side in sides]
        found = []
        for turn in range(turns):
            seconds = [0.0, 0.0]
            for side in (0, 1) if turn % 2 == 0 else (1, 0):
                seconds[side] = self._once_each(sides[side], runs[side])
            found.append((seconds[0], seconds[1]))
        return found

    def _once_each(self, timing: Timing, runs: list[int]) -> float:
        return timing.total([self._seconds(work, n) for work, n in zip(timing.works, runs, strict=True)])

    def _runs_of(self, timing: Timing) -> list[int]:
        """How often each work is done while it is timed once."""
        least = max(LEAST_SECONDS / len(timing.works), LEAST_TICKS * self.tick)
        return [self._runs_that_last(work, least) for work in timing.works]

    def _runs_that_last(self, work: Work, least: float) -> int:
        """How often the work is to be done to last so many seconds; its first run fills caches."""
        runs = 1
        seconds = self._elapsed(work, runs)
        if seconds < 10 * least:
            seconds = self._elapsed(work, runs)
        while seconds < least and runs < MOST_RUNS:
            wanted = math.ceil(runs * least / seconds) if seconds > 0 else 0
            runs = min(MOST_RUNS, max(2 * runs, wanted))
            seconds = self._elapsed(work, runs)
        return runs

    def _seconds(self, work: Work, runs: int) -> float:
        """Processor seconds of one of so many runs."""
        return self._elapsed(work, runs) / runs

    def _elapsed(self, work: Work, runs: int) -> float:
        wall, processor = self.wall(), self.processor()
        for _ in range(runs):
            work()
        elapsed = self.processor() - processor
        self.processor_seconds += elapsed
        self.wall_seconds += self.wall() - wall
        return elapsed
