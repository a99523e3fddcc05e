"""The tasks of the dark-room family: how many there are, which they are, and what each can pay at most."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bench.catalogue.option_types import Options
from bench.worlds.gridworld.world import PERMUTATIONS, Floats, Integers, goal_columns, start_cells


def task_count(world: str, room_side: int) -> int:
    """How many different tasks a room of this side has.

    Every cell; every permutation of the actions, the goal being fixed; or every ordered pair of cells.
    """
    cells = room_side**2
    return {2: cells, 3: len(PERMUTATIONS), 4: cells * (cells - 1)}[goal_columns(world)]


def numbered_goals(world: str, room_side: int, numbers: Integers) -> Integers:
    """(tasks, goal columns): goal rows of the tasks of these numbers, each in 0 ... `task_count` - 1.

    A Large room has millions of pairs of cells, so that tasks are drawn by number and never listed.
    """
    columns = goal_columns(world)
    if columns == 2:
        return np.stack(np.divmod(numbers, room_side), axis=1)
    if columns == 3:
        corner = np.full_like(numbers, room_side - 1)
        return np.stack([corner, corner, numbers], axis=1)
    first, second = np.divmod(numbers, room_side**2 - 1)
    second = second + (second >= first)  # the second cell is any but the first
    return np.stack([*np.divmod(first, room_side), *np.divmod(second, room_side)], axis=1)


def all_goals(world: str, room_side: int) -> Integers:
    """(`task_count`, goal columns): the goal rows of every task; large for pairs in a Large room."""
    return numbered_goals(world, room_side, np.arange(task_count(world, room_side)))


def _steps_to(origin: Integers, cells: Integers) -> Integers:
    """(tasks,) steps until one ends on the cell: an agent that stands on it already needs one as well."""
    steps: Integers = np.maximum(np.abs(cells - origin).sum(axis=-1), 1)
    return steps


def optimal_return(
    world: str,
    room_side: int,
    horizon: int,
    goals: Integers,
    start: ArrayLike,
) -> Floats:
    """(tasks,) return of a policy that knows the goal row and starts at `start`, (2,) or (tasks, 2).

    Raises ValueError if a start lies outside the room.
    """
    origin = np.asarray(start, dtype=np.int64)
    if origin.min() < 0 or origin.max() >= room_side:
        raise ValueError(f"start must lie in 0 ... {room_side - 1}, got {origin.min()} ... {origin.max()}")
    to_first = _steps_to(origin, goals[:, :2])
    if world == "darkroom-hard":
        return (to_first <= horizon).astype(np.float32)
    if goal_columns(world) < 4:
        # Permuted actions reach what the others reach; each step from the arrival on pays.
        return np.maximum(horizon - to_first + 1, 0).astype(np.float32)
    between = _steps_to(goals[:, :2], goals[:, 2:])
    return (to_first <= horizon).astype(np.float32) + (to_first + between <= horizon)


def mean_optimal_returns(options: Options, goals: Integers) -> Floats:
    """(tasks,) optimal return of each task, averaged over the cells that the option `start` begins at."""
    side = options["room_side"]
    returns = [
        optimal_return(options["world"], side, options["horizon"], goals, cell)
        for cell in start_cells(options["start"], side)
    ]
    return np.mean(returns, axis=0, dtype=np.float32)
