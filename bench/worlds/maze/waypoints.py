"""A controller that walks balls through a maze, in the spirit of D4RL's: the source of the maze datasets.

The way is the shortest over the maze's cells. The ball is driven towards a point in the next cell of it by a
proportional-derivative law, and towards the one after as soon as it is there. Points lie up to `spread` from
the middle of their cell along each axis, drawn anew each time, so that no two walks are alike. B balls are
driven at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.worlds.maze.world import CELL, Layout

# D4RL's: gains of the distance to the waypoint and of the velocity, and how near is there, in metres.
GAIN, DAMPING, THERE = 10.0, -1.0, 0.1


def next_cells(layout: Layout) -> NDArray[np.int64]:
    """(cells, cells): the cell after the row's on a shortest way to the column's; itself at the goal.

    Raises ValueError where a cell cannot be reached from another.
    """
    count = len(layout.cells)
    steps = np.abs(layout.cells[:, None] - layout.cells).sum(axis=-1)
    neighbours = [np.flatnonzero(row == 1) for row in steps]
    following = np.full((count, count), -1)
    for goal in range(count):
        following[goal, goal] = goal
        reached = [goal]
        for cell in reached:  # it grows while it is read: a breadth-first search from the goal
            for other in neighbours[cell]:
                if following[other, goal] < 0:
                    following[other, goal] = cell
                    reached.append(int(other))
    if (following < 0).any():
        raise ValueError("some free cells of this maze cannot be reached from others")
    return following


class WaypointController:
    """Drives B balls, each to a cell of its own; `generators` (B) draw where in a cell its waypoints lie."""

    def __init__(
        self,
        layout: Layout,
        positions: NDArray[np.floating],
        generators: Sequence[np.random.Generator],
        spread: float,
    ) -> None:
        self.centres, self.following = layout.centres, next_cells(layout)
        self.generators, self.spread = generators, spread
        self.cells = layout.nearest(positions)  # of the waypoints
        self.goals = self.cells.copy()
        self.waypoints = np.asarray(positions, np.float64).copy()

    def send(self, index: int, goal: int) -> None:
        """Let ball `index` go to the cell `goal`, by way of the cells between."""
        self.goals[index] = goal
        self._advance(index)

    def arrived(self, positions: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(B,) whether each ball, at positions (B, 2), is at the last waypoint of its way; others move on."""
        distances = np.hypot(*(self.waypoints - positions).T)
        there = distances < THERE * CELL
        at_goal = self.cells == self.goals
        for index in np.flatnonzero(there & ~at_goal):
            self._advance(int(index))
        return there & at_goal

    def act(self, states: NDArray[np.floating]) -> NDArray[np.float64]:
        """Actions (B, 2), not clipped, for states (B, 4)."""
        actions: NDArray[np.float64] = GAIN * (self.waypoints - states[:, :2]) + DAMPING * states[:, 2:]
        return actions

    def _advance(self, index: int) -> None:
        cell = self.following[self.cells[index], self.goals[index]]
        self.cells[index] = cell
        shift = self.generators[index].uniform(-self.spread, self.spread, 2)
        self.waypoints[index] = self.centres[cell] + shift
