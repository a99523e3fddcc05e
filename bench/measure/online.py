"""How long an online test takes: measured at a few sizes of the context, summed over every step of the test.

An agent with a context of E episodes of up to T steps has min(e, E - 1) T + t steps in it at step t of
episode e. A decision and the start of an episode are timed at a few such sizes and interpolated between
them, since a transformer that reads 4,000 steps again for each of 10,000 decisions takes hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.measure.stopwatch import Timing
from bench.methods.base import OnlineTimed
from bench.seeds import stream


class OnlineTest(NamedTuple):
    """A test in one environment: `episodes` episodes of `horizon` steps, one after the other."""

    horizon: int
    context_episodes: int
    episodes: int

    def sizes(self) -> tuple[list[int], list[int]]:
        """Steps in the context at which a decision, and the start of an episode, are timed."""
        last = self.context_episodes - 1
        starts = sorted({round(share * last) * self.horizon for share in (0.0, 0.5, 1.0)})
        full = last * self.horizon
        return sorted({*starts, full + self.horizon // 2, full + self.horizon - 1}), starts


def online_timing(online: OnlineTimed, test: OnlineTest, cached: bool) -> Timing:
    """The work of a test at each size, and the seconds of the whole test from those of each."""
    generator = stream("probe", "online")
    decided, begun = test.sizes()
    deciding = [online(fill, cached, generator) for fill in decided]
    beginning = [online(fill, cached, generator).begin for fill in begun]
    held = np.minimum(np.arange(test.episodes), test.context_episodes - 1) * test.horizon
    steps = (held[:, None] + np.arange(test.horizon)).ravel()

    def total(seconds: Sequence[float]) -> float:
        deciding_seconds = [one / work.decisions for one, work in zip(seconds, deciding, strict=False)]
        beginning_seconds = seconds[len(deciding) :]
        decisions = np.interp(steps, decided, deciding_seconds).sum()
        return float(decisions + np.interp(held, begun, beginning_seconds).sum())

    return Timing((*(work.decide for work in deciding), *beginning), total)
