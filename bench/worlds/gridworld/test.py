"""Online testing without updates (DM-H Section 5.1): consecutive episodes on unseen tasks.

Rooms are spread evenly over the unseen goals and stepped together. Which goals, starts and
sampling noise a room meets depends on the task and the seed alone, not on the method.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.arrays import States
from bench.seeds import stream
from bench.work.record import Facts
from bench.worlds.contract import TestRows
from bench.worlds.gridworld.tasks import optimal_return
from bench.worlds.gridworld.world import GridWorld, make_rooms

CONSECUTIVE = True


def spread_goals(goals: NDArray[np.int64], rooms: int) -> NDArray[np.int64]:
    """(rooms, columns): the goals one after the other, round and round."""
    return goals[np.arange(rooms) % len(goals)]


def make_world(options: Options, task: str, seed: int, facts: Facts) -> GridWorld:
    """Rooms with the dataset's `test_tasks`, the unseen goals.

    With `tested_tasks=training` they are its `train_tasks`, for choosing settings without the unseen ones.
    """
    known = facts["test_tasks" if options["tested_tasks"] == "unseen" else "train_tasks"]
    goals = spread_goals(np.array(known, dtype=np.int64), options["evaluation_environments"])
    return make_rooms(options, goals, stream("eval", "starts", task, seed))


def scores(returns: NDArray[np.float64], lengths: NDArray[np.float64], options: Options) -> TestRows:
    """The mean return."""
    return [("last_return", 0.0, float(returns.mean()))]


def optimal_returns(world: GridWorld, starts: States) -> NDArray[np.float64]:
    """(rooms,) return of a policy that knows each room's task and begins at these cells (rooms, 2)."""
    best = optimal_return(world.world, world.room_side, world.horizon, world.goals, starts)
    return best.astype(np.float64)
