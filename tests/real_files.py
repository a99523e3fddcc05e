"""Real data made up: files in D4RL's layout, and episodes for Minari to write."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import h5py
import numpy as np
from minari.data_collector import EpisodeBuffer
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


def play_hopper(steps: int, seed: int) -> EpisodeBuffer:
    """A short episode of Hopper, cut after `steps` steps, as Minari's writer wants it."""
    environment = gymnasium.make("Hopper-v5")
    random = np.random.default_rng(seed)
    seen, actions, rewards, ends = [environment.reset(seed=seed)[0]], [], [], []
    while not (ends and ends[-1]) and len(ends) < steps:
        actions.append(random.uniform(-1, 1, 3).astype(np.float32))
        observation, reward, terminated, _, _ = environment.step(actions[-1])
        seen.append(observation)
        rewards.append(reward)
        ends.append(terminated)
    cut = np.zeros(len(ends), bool)
    cut[-1] = not ends[-1]
    return EpisodeBuffer(
        observations=np.stack(seen),
        actions=np.stack(actions),
        rewards=np.array(rewards),
        terminations=np.array(ends),
        truncations=cut,
    )
