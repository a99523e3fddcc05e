"""D4RL's HDF5 files of the gym-mujoco tasks, version 2, read without the d4rl package.

A file holds the steps of all episodes one after another, `observations` (steps, dim), `actions` (steps,
action_dim), `rewards`, `terminals` and `timeouts` (steps,): an episode ends with a step at which one of the
last two is set. Steps after the last such one are an episode whose end was not recorded; it is kept and
marked as truncated, where code of Decision Transformer's kind drops it.

What was seen after an episode's last action is in `next_observations`, which version 2 of these tasks has. In
a file without that key it is unknown, and the episode's last observation is repeated in its place: it is used
only where a value is bootstrapped after a truncated step. The sidecar says which it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench.catalogue.catalogue import Task
from bench.catalogue.option_types import Options
from bench.catalogue.real_data import located
from bench.catalogue.sources import DatasetRow
from bench.datasets.real import check_counts, check_dimensions, check_sha256, store
from bench.datasets.real import load as load
from bench.datasets.trajectories import Trajectories
from bench.errors import DatasetError
from bench.work.record import Facts

NEXT = "next_observations"
# Key -> dimensions. The others are as long as the first.
REQUIRED = {"rewards": 1, "observations": 2, "actions": 2, "terminals": 1, "timeouts": 1}
FLAGS = ("terminals", "timeouts")
Columns = dict[str, NDArray[np.float32]]


def make(options: Options, task: str, folder: Path, declared: Task) -> Facts:
    """Check the task's file and copy it into the store below `folder`; facts for the sidecar.

    Raises UnavailableError where the file is not in the folder that the run was given, and what `read_d4rl`
    raises.
    """
    [(row, path)] = located(declared)
    trajectories, facts = read_d4rl(path, row, options["observation_dim"], options["action_dim"])
    return facts | store(trajectories, options, folder, f"{row.id}, D4RL, collected in the v2 environment")


def read_d4rl(
    path: Path, row: DatasetRow, observation_dim: int, action_dim: int
) -> tuple[Trajectories, dict[str, Any]]:
    """The episodes of a file, and facts about it, once it was checked against its row.

    Raises DatasetError, with file, key and remedy, for a file that has another sha256 or other counts than
    its row, cannot be read, lacks a key, or holds columns of unequal length, of another environment's size,
    or with NaN or infinity in them.
    """
    digest = check_sha256(path, row)
    columns = read_columns(path)
    trajectories, unfinished = split(columns)
    check_dimensions(trajectories, path, observation_dim, action_dim)
    episodes = len(trajectories) - bool(unfinished)
    if not episodes:
        raise DatasetError(
            f"{path}: keys terminals and timeouts: not one of {trajectories.transitions} steps ends an "
            "episode. The file is cut off or not D4RL's: get it again."
        )
    finished = Trajectories.from_episodes([trajectories[index] for index in range(episodes)])
    check_counts(finished, path, row)
    facts = {
        "file": path.name,
        "file_sha256": digest,
        "unfinished_steps": unfinished,
        "final_observations": "recorded" if NEXT in columns else "the last observation again",
    }
    return trajectories, facts


def read_columns(path: Path) -> Columns:
    """The columns of a file as float32; DatasetError for what does not hold together."""
    columns: dict[str, NDArray[Any]] = {}
    remedy = "Get the file again; it has to be version 2 of the dataset."
    try:
        with h5py.File(path, "r") as file:  # type: ignore[attr-defined]  # h5py declares no exports
            for key in (*REQUIRED, NEXT):
                if key in file:
                    columns[key] = np.asarray(file[key][()])
    # h5py has one kind of error for a file that cannot be opened and others for a key that cannot be read
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise DatasetError(
            f"{path}: cannot be read as HDF5 ({error}): it is cut off, damaged or another kind of file. "
            f"{remedy}"
        ) from error
    missing = [key for key in REQUIRED if key not in columns]
    if missing:
        raise DatasetError(
            f"{path}: key {missing[0]} is missing; it has {', '.join(columns) or 'none'}. {remedy}"
        )
    steps = columns["rewards"].size
    for key, values in columns.items():
        problem = _problem(key, values, steps, columns["observations"].shape)
        if problem:
            raise DatasetError(f"{path}: key {key}: {problem}. {remedy}")
    return {key: values.astype(np.float32) for key, values in columns.items()}


def _problem(key: str, values: NDArray[Any], steps: int, seen: tuple[int, ...]) -> str:
    """What is wrong with a column of `steps` steps, observations being of shape `seen`; empty if nothing."""
    if values.dtype.kind not in "fiub":
        return "it does not hold an array of numbers"
    if values.ndim != REQUIRED.get(key, 2) or not values.size:
        return f"its shape {values.shape} is not that of a column with {REQUIRED.get(key, 2)} dimensions"
    if len(values) != steps:
        return f"it has {len(values)} steps, but rewards has {steps}"
    if key == NEXT and values.shape != seen:
        return f"its shape is {values.shape}, but observations have {seen}"
    if key in FLAGS:
        return "" if np.isin(values, (0, 1)).all() else "it holds values other than 0 and 1"
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinity, and is found below
        values = values.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(values).reshape(steps, -1).all(axis=1))
    return f"{len(bad)} steps hold NaN or infinity, the first being step {bad[0]}" if len(bad) else ""


def split(columns: Columns) -> tuple[Trajectories, int]:
    """The columns of a file as episodes, and how many steps at the end belong to an unfinished one.

    Nothing is lost: laid end to end the episodes are the file's columns, but for the mark of truncation at an
    unfinished episode's last step.
    """
    ends = np.flatnonzero((columns["terminals"] + columns["timeouts"]) > 0)
    steps = len(columns["rewards"])
    unfinished = steps - 1 - int(ends[-1]) if len(ends) else steps
    truncations = columns["timeouts"].copy()
    if unfinished:
        ends = np.append(ends, steps - 1)
        truncations[-1] = 1.0
    after = columns[NEXT] if NEXT in columns else columns["observations"]
    trajectories = Trajectories(
        observations=columns["observations"],
        actions=columns["actions"],
        rewards=columns["rewards"],
        terminations=columns["terminals"],
        truncations=truncations,
        final_observations=after[ends],
        starts=np.concatenate([[0], ends + 1]).astype(np.int64),
    )
    return trajectories, unfinished
