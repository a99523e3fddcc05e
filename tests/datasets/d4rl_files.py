"""Files in D4RL's layout, made up."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray]
LENGTHS = (5, 1, 7)


def make_columns(
    lengths: tuple[int, ...] = LENGTHS, unfinished: int = 3, dim: int = 11, action_dim: int = 3, seed: int = 0
) -> Columns:
    """Episodes of these lengths, ended by a terminal and a timeout in turn, and the beginning of one more."""
    random = np.random.default_rng(seed)
    steps = sum(lengths) + unfinished
    ends = np.cumsum(lengths, dtype=int) - 1
    columns: Columns = {
        "observations": random.normal(size=(steps, dim)).astype(np.float32),
        "actions": random.uniform(-1, 1, (steps, action_dim)).astype(np.float32),
        "rewards": random.normal(size=steps).astype(np.float32),
        "terminals": np.zeros(steps, bool),
        "timeouts": np.zeros(steps, bool),
        "next_observations": random.normal(size=(steps, dim)).astype(np.float32),
    }
    columns["terminals"][ends[::2]] = True
    columns["timeouts"][ends[1::2]] = True
    return columns


def write_d4rl(path: Path, columns: Columns) -> Path:
    """The columns as a file, with the metadata and infos that D4RL's files have beside them."""
    with h5py.File(path, "w") as file:
        for key, values in columns.items():
            file.create_dataset(key, data=values, compression="gzip" if np.ndim(values) else None)
        file["infos/qpos"] = np.zeros((3, 2))
        file["metadata/algorithm"] = "SAC"
    return path
