"""The dark-room family, batched: many rooms stepped at once.

A room is a square of `room_side` x `room_side` cells. The agent sees its own coordinates and
nothing else; the goal differs from room to room. Actions: 0 left, 1 right, 2 up, 3 down,
4 stay (DM-H, Section 5.1); a step into a wall leaves the agent where it is.

Worlds:
- `darkroom`: reward 1 at every step that ends on the goal.
- `darkroom-hard`: reward 1 at the first step that ends on the goal, and never again.
- `dark-key-to-door`: reward 1 at the first step on the key, then 1 at the first step on the
  door after the key was taken.

An episode always lasts `horizon` steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float32]

ACTIONS = 5
MOVES = np.array([[-1, 0], [1, 0], [0, 1], [0, -1], [0, 0]], dtype=np.int64)
WORLDS = ("darkroom", "darkroom-hard", "dark-key-to-door")


def goal_columns(world: str) -> int:
    """Columns of a task's goal: 2 (goal x, y), or 4 with a key (key x, y, door x, y)."""
    return 4 if world == "dark-key-to-door" else 2


class GridWorld:
    """A batch of rooms with one goal each.

    Args:
        world: one of `WORLDS`.
        room_side: cells along a side.
        horizon: steps in an episode.
        goals: (rooms, 2) goal cells, or (rooms, 4) key and door cells.
        start: `centre`, `corner` (0, 0) or `random` (drawn anew for each episode).
        generator: source of random starts; needed only for `start="random"`.

    Raises:
        ValueError: an unknown world or start, or goals of the wrong shape or outside the room.
    """

    def __init__(
        self,
        world: str,
        room_side: int,
        horizon: int,
        goals: Integers,
        start: str = "centre",
        generator: np.random.Generator | None = None,
    ) -> None:
        if world not in WORLDS:
            raise ValueError(f"world must be one of {', '.join(WORLDS)}, got {world!r}")
        if start not in ("centre", "corner", "random") or (start == "random" and generator is None):
            raise ValueError(f"start must be centre, corner, or random with a generator, got {start!r}")
        if goals.ndim != 2 or goals.shape[1] != goal_columns(world):
            raise ValueError(
                f"goals of {world} must have shape (rooms, {goal_columns(world)}), got {goals.shape}"
            )
        if goals.size and (goals.min() < 0 or goals.max() >= room_side):
            raise ValueError(f"goals must lie in 0 ... {room_side - 1}, got {goals.min()} ... {goals.max()}")
        self.world, self.room_side, self.horizon = world, room_side, horizon
        self.goals, self.start, self.generator = goals, start, generator
        self.rooms = len(goals)
        self.reset()

    def reset(self) -> Integers:
        """Begin an episode in every room; returns the observations, (rooms, 2) coordinates."""
        if self.start == "random":
            assert self.generator is not None
            self.position = self.generator.integers(self.room_side, size=(self.rooms, 2))
        else:
            side = self.room_side // 2 if self.start == "centre" else 0
            self.position = np.full((self.rooms, 2), side, dtype=np.int64)
        self.time = 0
        self.collected = np.zeros((self.rooms, 2), dtype=bool)
        return self.position.copy()

    def step(self, actions: Integers) -> tuple[Integers, Floats, bool]:
        """Move every agent; returns observations (rooms, 2), rewards (rooms,), and whether it is over."""
        if self.time >= self.horizon:
            raise RuntimeError("the episode is over: call reset() before step()")
        self.position = np.clip(self.position + MOVES[actions], 0, self.room_side - 1)
        self.time += 1
        on_first = (self.position == self.goals[:, :2]).all(axis=1)
        if self.world == "darkroom":
            rewards = on_first
        elif self.world == "darkroom-hard":
            rewards = on_first & ~self.collected[:, 0]
            self.collected[:, 0] |= on_first
        else:
            took_key = on_first & ~self.collected[:, 0]
            on_door = (self.position == self.goals[:, 2:]).all(axis=1)
            # The door counts only after the key, also when both lie on one cell: then at the next step.
            opened = on_door & self.collected[:, 0] & ~self.collected[:, 1]
            self.collected[:, 0] |= on_first
            self.collected[:, 1] |= opened
            rewards = took_key | opened
        return self.position.copy(), rewards.astype(np.float32), self.time == self.horizon

    def finished_reward(self) -> NDArray[np.bool_]:
        """(rooms,) whether no further reward can come in this episode (one-time rewards all taken)."""
        if self.world == "darkroom":
            return np.zeros(self.rooms, dtype=bool)
        last = 0 if self.world == "darkroom-hard" else 1
        return self.collected[:, last].copy()


def all_goals(world: str, room_side: int) -> Integers:
    """Every possible task of a world: cells (side^2, 2), or key and door pairs (side^4, 4)."""
    cells = np.stack(np.meshgrid(*[np.arange(room_side)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    if goal_columns(world) == 2:
        return cells
    first, second = np.meshgrid(np.arange(len(cells)), np.arange(len(cells)), indexing="ij")
    pairs = np.concatenate([cells[first.ravel()], cells[second.ravel()]], axis=1)
    return pairs[(pairs[:, :2] != pairs[:, 2:]).any(axis=1)]


def optimal_return(
    world: str, room_side: int, horizon: int, goals: Integers, start: tuple[int, int]
) -> Floats:
    """(tasks,) return of a policy that knows the goal and starts at `start`."""
    origin = np.array(start)
    first = np.abs(goals[:, :2] - origin).sum(axis=1)
    if world == "darkroom":
        # A goal on the start cell pays at every step; another at each step from arrival on.
        return np.where(first == 0, horizon, np.maximum(horizon - first + 1, 0)).astype(np.float32)
    first = np.maximum(first, 1)
    if world == "darkroom-hard":
        return (first <= horizon).astype(np.float32)
    second = first + np.abs(goals[:, 2:] - goals[:, :2]).sum(axis=1)
    return (first <= horizon).astype(np.float32) + (second <= horizon).astype(np.float32)
