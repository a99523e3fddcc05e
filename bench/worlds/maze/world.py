"""The point mazes of gymnasium-robotics by the rules of D4RL's maze2d, many balls stepped together.

A ball is pushed along x and y; maze, ball and physics (100 steps a second) are those of gymnasium-robotics.
The rules are D4RL's:
- What is seen is position and velocity. The goal, the centre of one cell, is not shown and does not move.
- Each step that ends at most `goal_radius` from the goal pays 1, any other 0.
- An episode does not end at the goal but at the time limit.
- It begins in a free cell drawn evenly, up to START_SPREAD from its centre along each axis, at a small random
  velocity.
docs/data.md says where D4RL and gymnasium-robotics differ.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium
import gymnasium_robotics
import mujoco
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.errors import SpecError
from bench.worlds.batch import EpisodeBatch, positive

START_SPREAD = 0.1  # metres
START_SPEED = 0.1  # metres a second, the deviation along each axis
MAX_SPEED = 5.0  # metres a second along each axis
WALL = 1
CELL = 1.0  # metres

# Its functions are compiled, and no stub declares them.
physics: Any = mujoco

gymnasium.register_envs(gymnasium_robotics)


@contextmanager
def no_file_left() -> Iterator[None]:
    """Within it, what is written to the folder for temporary files is removed at the end.

    gymnasium-robotics describes each maze it makes to MuJoCo in such a file, and leaves it there.
    """
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


@dataclass(frozen=True)
class Layout:
    """Where the walls of a maze are; `grid` is (rows, columns), 1 at a wall.

    Row 0 is at the top: x grows with the column and y falls with the row, from an origin in the middle.
    """

    grid: NDArray[np.int64]

    @cached_property
    def cells(self) -> NDArray[np.int64]:
        """(cells, 2) row and column of each free cell, row by row."""
        return np.argwhere(self.grid != WALL)

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """(cells, 2) x and y of the middle of each free cell, in metres."""
        rows, columns = self.grid.shape
        x = self.cells[:, 1] + 0.5 - columns / 2
        y = rows / 2 - self.cells[:, 0] - 0.5
        return np.stack([x, y], axis=1) * CELL

    def cell_at(self, row: int, column: int) -> int:
        """The number of a free cell; SpecError for a wall."""
        found = np.flatnonzero((self.cells == (row, column)).all(axis=1))
        if not len(found):
            raise SpecError(
                f"goal_row {row} and goal_column {column} name no free cell of this maze. Choose one of its "
                f"cells (row, column): {', '.join(f'({r}, {c})' for r, c in self.cells.tolist())}."
            )
        return int(found[0])

    def nearest(self, positions: NDArray[np.floating]) -> NDArray[np.int64]:
        """(n,) number of the free cell whose centre is nearest to each of positions (n, 2)."""
        offsets = positions[:, None] - self.centres
        return np.square(offsets).sum(axis=-1).argmin(axis=1)


class PointMaze:
    """One ball in a maze. Mazes share `model`, which nothing changes, and have a state of their own."""

    def __init__(
        self,
        model: Any,
        starts: NDArray[np.float64],
        goal: NDArray[np.float64],
        goal_radius: float,
        max_episode_steps: int,
    ) -> None:
        self.model, self.data = model, physics.MjData(model)
        self.starts, self.goal, self.goal_radius = starts, goal, goal_radius
        self.max_episode_steps, self.time = max_episode_steps, 0

    def reset(self, *, seed: int) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Put the ball somewhere; returns x, y and their velocities (4,)."""
        generator = np.random.default_rng(seed)
        physics.mj_resetData(self.model, self.data)
        centre = self.starts[generator.integers(len(self.starts))]
        self.data.qpos[:] = centre + generator.uniform(-START_SPREAD, START_SPREAD, 2)
        self.data.qvel[:] = START_SPEED * generator.standard_normal(2)
        physics.mj_forward(self.model, self.data)
        self.time = 0
        return self._observation(), {}

    def step(
        self, action: NDArray[np.floating], /
    ) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        """Push the ball by `action` (2,), each -1 ... 1, for a hundredth of a second."""
        # As gymnasium-robotics does it: what the solver of contacts starts from is then the same too.
        np.clip(self.data.qvel, -MAX_SPEED, MAX_SPEED, out=self.data.qvel)
        physics.mj_forward(self.model, self.data)
        self.data.ctrl[:] = action
        physics.mj_step(self.model, self.data)
        self.time += 1
        observation = self._observation()
        at_goal = np.hypot(*(observation[:2] - self.goal)) <= self.goal_radius
        return observation, float(at_goal), False, self.time >= self.max_episode_steps, {}

    def close(self) -> None:
        """Nothing to free."""

    def _observation(self) -> NDArray[np.float64]:
        return np.concatenate([self.data.qpos, self.data.qvel])


class MazeBatch(EpisodeBatch):
    """`count` balls in copies of the maze of a gymnasium-robotics environment, such as PointMaze_UMaze-v3.

    Attributes beyond those of every batch: `layout`, and `goal_cell`, a number into `layout.cells`.

    Raises SpecError for an unknown environment, one that is no point maze with sparse reward, or a goal
    inside a wall, and ValueError for a count below one.
    """

    def __init__(self, env_id: str, count: int, goal: tuple[int, int], goal_radius: float) -> None:
        positive(count, "MazeBatch", env_id)
        model, self.layout, actions, limit = _load(env_id)
        self.goal_cell = self.layout.cell_at(*goal)
        centres = self.layout.centres
        mazes = [PointMaze(model, centres, centres[self.goal_cell], goal_radius, limit) for _ in range(count)]
        super().__init__(env_id, mazes, Box(-np.inf, np.inf, (4,)), actions, limit)


def make_batch(options: Options, count: int) -> MazeBatch:
    """`count` copies of a task's maze."""
    goal = options["goal_row"], options["goal_column"]
    return MazeBatch(options["environment_id"], count, goal, options["goal_radius"])


def _load(env_id: str) -> tuple[Any, Layout, Box, int]:
    """MuJoCo's model, the layout, the actions and the time limit of a registered maze."""
    try:
        registered = gymnasium.spec(env_id)
    except gymnasium.error.Error as error:
        raise SpecError(
            f"Unknown environment {env_id!r}: {error} Name a point maze of gymnasium-robotics, such as "
            "'PointMaze_UMaze-v3'."
        ) from error
    limit = registered.max_episode_steps
    if "PointMazeEnv" not in str(registered.entry_point) or registered.kwargs["reward_type"] != "sparse":
        raise SpecError(
            f"environment_id: {env_id} is no point maze with sparse reward, which is all that "
            "bench.worlds.maze.world plays. Name one of gymnasium-robotics, such as 'PointMaze_UMaze-v3'."
        )
    assert limit is not None
    with no_file_left():
        environment: Any = gymnasium.make(env_id, disable_env_checker=True)
    maze, actions = environment.unwrapped, environment.action_space
    grid = np.array([[int(cell == WALL) for cell in row] for row in maze.maze.maze_map])
    return maze.model, Layout(grid), actions, limit
