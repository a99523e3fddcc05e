"""The DQN-replay data made up: a game's folder in its true layout, with buffers of a few short episodes."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIDE, STACKED, PADDING = 84, 4, 3
Buffer = dict[str, NDArray]


def make_buffer(seed: int, episodes: int = 24, actions: int = 4) -> Buffer:
    """Episodes of 2 to 6 steps, each after three blank ones; the first began in an earlier buffer."""
    random = np.random.default_rng(seed)
    parts: dict[str, list[NDArray]] = {"observation": [], "action": [], "reward": [], "terminal": []}
    for number in range(episodes):
        steps = int(random.integers(2, 7))
        blank = PADDING if number else 0
        frames = random.integers(1, 256, (steps, SIDE, SIDE))
        parts["observation"].append(np.concatenate([np.zeros((blank, SIDE, SIDE)), frames]))
        parts["action"].append(np.concatenate([np.zeros(blank), random.integers(actions, size=steps)]))
        parts["reward"].append(np.concatenate([np.zeros(blank), random.integers(-1, 2, size=steps)]))
        parts["terminal"].append(np.arange(blank + steps) == blank + steps - 1)
    kinds = {"observation": np.uint8, "action": np.int32, "reward": np.float32, "terminal": np.uint8}
    return {kind: np.concatenate(parts[kind]).astype(dtype) for kind, dtype in kinds.items()}


def place(folder: Path, kind: str, number: int) -> Path:
    return folder / f"$store$_{kind}_ckpt.{number}.gz"


def write_array(path: Path, values: NDArray) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        np.save(file, values)


def write_buffer(folder: Path, number: int, buffer: Buffer) -> None:
    """The four files of a buffer, and two more that the recorder leaves beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, values in buffer.items():
        write_array(place(folder, kind, number), values)
    for name, value in (("add_count", np.array(1000000)), ("invalid_range", np.arange(5))):
        write_array(folder / f"{name}_ckpt.{number}.gz", value)
