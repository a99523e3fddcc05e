"""Episodes of robots, all side by side.

Initial states depend on the environment and the seed alone: every method meets the same, on dense and on
delayed tasks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.work.record import Facts
from bench.worlds.batch import SeededWorld
from bench.worlds.contract import TestRows
from bench.worlds.mujoco.world import MujocoBatch
from bench.worlds.scores import return_scores

CONSECUTIVE = True


def make_world(options: Options, task: str, seed: int, facts: Facts) -> SeededWorld:
    """`evaluation_episodes` robots of the version that the protocol tests in.

    It need not be the one that the data were collected in.
    """
    robot = options["environment_id"].rpartition("-")[0]
    tested = f"{robot}-{options['environment_version']}"
    return SeededWorld(MujocoBatch(tested, options["evaluation_episodes"]), seed)


def scores(returns: NDArray[np.float64], lengths: NDArray[np.float64], options: Options) -> TestRows:
    """Mean and deviation of the return, mean length, and the normalised score."""
    return return_scores(returns, lengths, options)
