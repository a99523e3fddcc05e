"""What the readers of real data share: checks against `workflow/datasets.csv`, and the store of a run.

A reader copies what it read into the run's own store, so that a training reads the same bytes wherever the
files of the user have gone since, and each of its inputs is checked as that of any other dataset.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.catalogue.option_types import Options
from bench.catalogue.sources import DatasetRow, file_sha256
from bench.datasets.minari_store import load_minari, save_minari
from bench.datasets.trajectories import Trajectories, delay_rewards
from bench.errors import DatasetError
from bench.work.record import Facts

DATASET_ID = "real/copy-v0"
# Returns that others report were added in float32: a share of the largest of them.
RETURN_TOLERANCE = 1e-4
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def store(trajectories: Trajectories, options: Options, folder: Path, described: str) -> Facts:
    """Write what was read below `folder`, rewards delayed where the task says so; facts for the sidecar.

    `options`: `environment_id`, which the metadata name, and `delayed_reward`. Facts of returns are those of
    the rewards as they were read.
    """
    returns = trajectories.returns
    facts = {f"return_quantile_{level:g}": float(np.quantile(returns, level)) for level in QUANTILES} | {
        "mean_return": float(returns.mean()),
        "standard_deviation_of_return": float(returns.std()),
        "largest_return": float(returns.max()),
    }
    if options["delayed_reward"]:
        trajectories = delay_rewards(trajectories)
    save_minari(trajectories, folder, DATASET_ID, options["environment_id"], described, "see the description")
    counts = {"transitions": int(trajectories.transitions), "trajectories": len(trajectories)}
    return counts | facts | {"content_sha256": trajectories.digest()}


def load(folder: Path) -> Trajectories:
    """The dataset written by `store`."""
    return load_minari(folder, DATASET_ID)


def check_sha256(path: Path, row: DatasetRow) -> str:
    """The sha256 of a file; DatasetError where its row holds another one."""
    found = file_sha256(path)
    if row.sha256 and found != row.sha256:
        raise DatasetError(
            f"{path}: sha256 is {found}, but key sha256 of {row.id} in workflow/datasets.csv says "
            f"{row.sha256}. The file is damaged, incomplete or another one: get it again from "
            f"{' or '.join(row.addresses)}."
        )
    return found


def check_dimensions(trajectories: Trajectories, path: Path, observation_dim: int, action_dim: int) -> None:
    """Raise DatasetError where states or actions are not of the task's size."""
    for key, array, expected in (
        ("observations", trajectories.observations, observation_dim),
        ("actions", trajectories.actions, action_dim),
    ):
        if array.shape[1] != expected:
            raise DatasetError(
                f"{path}: key {key}: {array.shape[1]} numbers a step, but the task has {expected}. It is the "
                "file of another environment: put the right one in its place."
            )


def check_counts(finished: Trajectories, path: Path, row: DatasetRow) -> None:
    """Raise DatasetError where counts or returns of the finished episodes are not those its row knows."""
    returns = finished.returns
    scale = float(np.abs(returns).max())
    found: dict[str, tuple[float, float]] = {
        "transitions": (finished.transitions, 0.0),
        "trajectories": (len(finished), 0.0),
        "lowest_return": (float(returns.min()), RETURN_TOLERANCE * scale),
        "mean_return": (float(returns.mean()), RETURN_TOLERANCE * scale),
        "highest_return": (float(returns.max()), RETURN_TOLERANCE * scale),
    }
    for key, (value, tolerance) in found.items():
        known = getattr(row, key)
        if known is not None and abs(value - known) > tolerance:
            raise DatasetError(
                f"{path}: {key.replace('_', ' ')} of its finished episodes: {value:.10g}, but key {key} of "
                f"{row.id} in workflow/datasets.csv says {known:.10g}. It is another file, or an incomplete "
                f"one: get it again from {' or '.join(row.addresses)}."
            )
