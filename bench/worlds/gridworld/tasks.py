"""The tasks of the dark-room family: how many there are, which they are, and what each can pay at most."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bench.catalogue.option_types import Options
from bench.worlds.gridworld.world import PERMUTATIONS, Floats, Integers, goal_columns, start_cells


def task_count(world: str, room_side: int, dynamics: str = "permuted-actions") -> int:
    """How many different tasks a room of this side has.

    Every cell; every cell with every permutation of the actions; or every ordered pair of different cells.
    """
    cells = room_side**2
    return {2: cells, 3: cells * len(PERMUTATIONS), 4: cells * (cells - 1)}[goal_columns(world, dynamics)]


def numbered_goals(
    world: str, room_side: int, numbers: Integers, dynamics: str = "permuted-actions"
) -> Integers:
    """(tasks, goal columns): goal rows of the tasks of these numbers, each in 0 ... `task_count` - 1.

    A Large room has millions of pairs of cells, so that tasks are drawn by number and never listed.
    """
    columns = goal_columns(world, dynamics)
    if columns == 2:
        return np.stack(np.divmod(numbers, room_side), axis=1)
    if columns == 3:
        cell, permutation = np.divmod(numbers, len(PERMUTATIONS))
        return np.stack([*np.divmod(cell, room_side), permutation], axis=1)
    first, second = np.divmod(numbers, room_side**2 - 1)
    second = second + (second >= first)  # the second cell is any but the first
    return np.stack([*np.divmod(first, room_side), *np.divmod(second, room_side)], axis=1)


def all_goals(world: str, room_side: int, dynamics: str = "permuted-actions") -> Integers:
    """(`task_count`, goal columns): the goal rows of every task; large for pairs in a Large room."""
    numbers = np.arange(task_count(world, room_side, dynamics))
    return numbered_goals(world, room_side, numbers, dynamics)


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
    dynamics: str = "permuted-actions",
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
    if goal_columns(world, dynamics) < 4:
        # Permuted actions reach what the others reach; each step from the arrival on pays.
        return np.maximum(horizon - to_first + 1, 0).astype(np.float32)
    between = _steps_to(goals[:, :2], goals[:, 2:])
    if world == "dark-key-to-door":
        return (to_first <= horizon).astype(np.float32) + (to_first + between <= horizon)
    return _optimal_with_a_moving_goal(horizon, to_first, between, _steps_to(origin, goals[:, 2:]))


def _optimal_with_a_moving_goal(
    horizon: int, to_first: Integers, between: Integers, to_second: Integers
) -> Floats:
    """(tasks,) the better of two plans: stay on the first goal until it moves, or leave it out.

    To leave the first goal earlier costs a step's reward for every step won at the second, and gains nothing.
    """
    half = horizon // 2
    rest = horizon - half
    at_first = np.maximum(half - to_first + 1, 0)
    both = np.where(at_first > 0, at_first + np.maximum(rest - between + 1, 0), 0)
    second_alone = np.maximum(rest - np.maximum(to_second - half, 1) + 1, 0)
    return np.maximum(both, second_alone).astype(np.float32)


def mean_optimal_returns(options: Options, goals: Integers) -> Floats:
    """(tasks,) optimal return of each task, averaged over the cells that the option `start` begins at."""
    side = options["room_side"]
    returns = [
        optimal_return(options["world"], side, options["horizon"], goals, cell, options["dynamics"])
        for cell in start_cells(options["start"], side)
    ]
    return np.mean(returns, axis=0, dtype=np.float32)
