"""The dark-room family, batched: many rooms stepped at once.

A room is a square of `room_side` x `room_side` cells. The agent sees its own coordinates and
nothing else; the goal differs from room to room. Actions: 0 left, 1 right, 2 up, 3 down,
4 stay (DM-H, Section 5.1); a step into a wall leaves the agent where it is.

Worlds:
- `darkroom`: reward 1 at every step that ends on the goal.
- `darkroom-hard`: reward 1 at the first step that ends on the goal, and never again.
- `dark-key-to-door`: reward 1 at the first step on the key, then 1 at the first step on the
  door after the key was taken.
- `darkroom-dynamic`: as `darkroom`, but the goal is always the far corner, and what the five actions do
  differs from room to room: one of their 120 permutations. DM-H names it in its Table 4 and defines it
  nowhere; its companion, In-Context Decision Transformer (2405.20692), Section 5, fixes the goal to a corner
  and permutes the actions. Which corner it does not say: the far one is DPT's.

An episode always lasts `horizon` steps.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.arrays import Actions

Integers = NDArray[np.int64]
Floats = NDArray[np.float32]

ACTIONS = 5
MOVES = np.array([[-1, 0], [1, 0], [0, 1], [0, -1], [0, 0]], dtype=np.int64)
# Row p: action a does what action PERMUTATIONS[p, a] does elsewhere; row 0 changes nothing.
PERMUTATIONS = np.array(list(permutations(range(ACTIONS))), dtype=np.int64)
WORLDS = ("darkroom", "darkroom-hard", "darkroom-dynamic", "dark-key-to-door")
STARTS = ("centre", "corner", "random")
PHASES = 3  # what `GridWorld.phase` can be


def goal_columns(world: str) -> int:
    """Columns of a task's goal row.

    2: goal x, y. 3, actions permuted: goal x, y, row of `PERMUTATIONS`. 4: key x, y, door x, y.
    """
    return {"darkroom-dynamic": 3, "dark-key-to-door": 4}.get(world, 2)


def start_cells(start: str, room_side: int) -> Integers:
    """(cells, 2): where an episode may begin, each cell as likely as the others."""
    if start == "random":
        return np.indices((room_side, room_side), dtype=np.int64).reshape(2, -1).T
    side = room_side // 2 if start == "centre" else 0
    return np.array([[side, side]], dtype=np.int64)


class GridWorld:
    """A batch of rooms with one task each.

    Args:
        world: one of `WORLDS`.
        room_side: cells along a side.
        horizon: steps in an episode.
        goals: (rooms, `goal_columns(world)`) goal rows.
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
        if start not in STARTS or (start == "random" and generator is None):
            raise ValueError(f"start must be centre, corner, or random with a generator, got {start!r}")
        columns = goal_columns(world)
        if goals.ndim != 2 or goals.shape[1] != columns:
            raise ValueError(f"goals of {world} must have shape (rooms, {columns}), got {goals.shape}")
        self.permuted = columns == 3
        cells = goals[:, :2] if self.permuted else goals
        if cells.size and (cells.min() < 0 or cells.max() >= room_side):
            raise ValueError(f"goals must lie in 0 ... {room_side - 1}, got {cells.min()} ... {cells.max()}")
        rows = goals[:, 2:] if self.permuted else goals[:0]
        if rows.size and (rows.min() < 0 or rows.max() >= len(PERMUTATIONS)):
            raise ValueError(
                f"permutations must lie in 0 ... {len(PERMUTATIONS) - 1}, got {rows.min()} ... {rows.max()}"
            )
        self.world, self.room_side, self.horizon = world, room_side, horizon
        self.goals, self.start, self.generator = goals, start, generator
        self.count = len(goals)
        # Columns of their own: comparing them is several times faster than reducing over pairs.
        self._first = (goals[:, 0].copy(), goals[:, 1].copy())
        self._second = (goals[:, 2].copy(), goals[:, 3].copy()) if columns == 4 else self._first
        self._moves = MOVES[PERMUTATIONS[goals[:, 2]]] if self.permuted else MOVES
        self._rows = np.arange(self.count)
        self.reset()

    def reset(self) -> Integers:
        """Begin an episode in every room; returns the observations, (rooms, 2) coordinates."""
        if self.start == "random":
            assert self.generator is not None
            self.position = self.generator.integers(self.room_side, size=(self.count, 2))
        else:
            self.position = np.tile(start_cells(self.start, self.room_side), (self.count, 1))
        self.time = 0
        self.collected = np.zeros((self.count, 2), dtype=bool)
        return self.position.copy()

    def step(self, actions: Actions) -> tuple[Integers, Floats, NDArray[np.bool_]]:
        """Move every agent; observations (rooms, 2), rewards and whether the episodes are over (rooms,)."""
        if self.time >= self.horizon:
            raise RuntimeError("the episode is over: call reset() before step()")
        moves = self._moves[self._rows, actions] if self.permuted else self._moves[actions]
        self.position = np.minimum(np.maximum(self.position + moves, 0), self.room_side - 1)
        self.time += 1
        on_first = self._stand_on(self._first)
        if self.world in ("darkroom", "darkroom-dynamic"):
            rewards = on_first
        elif self.world == "darkroom-hard":
            rewards = on_first & ~self.collected[:, 0]
            self.collected[:, 0] |= on_first
        else:
            took_key = on_first & ~self.collected[:, 0]
            # The door counts only after the key, also when both lie on one cell: then at the next step.
            opened = self._stand_on(self._second) & self.collected[:, 0] & ~self.collected[:, 1]
            self.collected[:, 0] |= on_first
            self.collected[:, 1] |= opened
            rewards = took_key | opened
        over = np.full(self.count, self.time == self.horizon)
        return self.position.copy(), rewards.astype(np.float32), over

    def close(self) -> None:
        """Nothing is held."""

    def _stand_on(self, cells: tuple[Integers, Integers]) -> NDArray[np.bool_]:
        here: NDArray[np.bool_] = (self.position[:, 0] == cells[0]) & (self.position[:, 1] == cells[1])
        return here

    def finished_reward(self) -> NDArray[np.bool_]:
        """(rooms,) whether no further reward can come in this episode (one-time rewards all taken)."""
        if self.world in ("darkroom", "darkroom-dynamic"):
            return np.zeros(self.count, dtype=bool)
        last = 0 if self.world == "darkroom-hard" else 1
        return self.collected[:, last].copy()

    def phase(self) -> Integers:
        """(rooms,) integers below `PHASES`: the number of one-time rewards taken in the episode.

        The next reward depends on it beside cell and task. Agents do not see it.
        """
        return self.collected.sum(axis=1)


def make_rooms(options: Options, goals: Integers, generator: np.random.Generator | None = None) -> GridWorld:
    """Rooms as the options `world`, `room_side`, `horizon` and `start` describe them."""
    return GridWorld(
        options["world"], options["room_side"], options["horizon"], goals, options["start"], generator
    )
