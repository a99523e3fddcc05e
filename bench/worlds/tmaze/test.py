"""Whole episodes in a T-maze, the two goals in turn, all side by side (DM-H Section 5).

Nothing in a maze is random. The context of an agent that reads its past is the episode itself: it plays one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.work.record import Facts
from bench.worlds.contract import TestRows
from bench.worlds.tmaze.world import TMaze, alternating_goals

CONSECUTIVE = False
# The best way returns 1, one that misses the goal's arm at most 0.
SOLVED = 0.95


def make_world(options: Options, task: str, seed: int, facts: Facts) -> TMaze:
    """`evaluation_episodes` mazes."""
    goals = alternating_goals(options["evaluation_episodes"])
    return TMaze(options["corridor_length"], options["oracle_length"], goals, options["penalty"])


def scores(returns: NDArray[np.float64], lengths: NDArray[np.float64], options: Options) -> TestRows:
    """Mean and deviation of the return, and the share of mazes solved."""
    return [
        ("return", 0.0, float(returns.mean())),
        ("return_deviation", 0.0, float(returns.std(ddof=1))),
        ("solved", 0.0, float((returns > SOLVED).mean())),
    ]
