"""Datasets on disk, in Minari's format: the local ones written here, and any other read back."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
from minari.data_collector import EpisodeBuffer

from bench.datasets.trajectories import Trajectories, Trajectory
from bench.errors import DatasetError

CONTENT_KEY = "content_sha256"


def save_minari(
    trajectories: Trajectories,
    folder: Path,
    dataset_id: str,
    env_id: str,
    description: str,
    algorithm_name: str = "behaviour policy",
    requirements: Sequence[str] = (),
) -> Path:
    """Write `trajectories` to `folder` as the Minari dataset `dataset_id` ("namespace/name-v0").

    Returns the dataset's folder. It is written elsewhere and moved in at the end, so that a killed run
    leaves nothing that looks like a dataset. `requirements` are pip-style lines kept for the reader. Raises
    DatasetError when the dataset is already there.
    """
    # Made twice on one machine the HDF5 bytes are equal, but they depend on the HDF5 and Minari versions and
    # neither library promises them: what identifies a dataset is the digest of its content, in its metadata.
    target = Path(folder) / dataset_id
    if target.exists():
        raise DatasetError(
            f"{target} is already there. Delete that folder if the dataset is to be made again."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unfinished-") as unfinished:
        with _minari_root(Path(unfinished)), warnings.catch_warnings():
            # Minari warns of each piece of metadata left out; a local dataset has no author to write to
            warnings.filterwarnings("ignore", message=".* is set to None", category=UserWarning)
            dataset = minari.create_dataset_from_buffers(
                dataset_id,
                [_buffer(episode) for episode in trajectories],
                env=env_id,
                observation_space=_observation_space(trajectories),
                algorithm_name=algorithm_name,
                description=description,
                requirements=list(requirements),
            )
        dataset.storage.update_metadata({CONTENT_KEY: trajectories.digest()})
        shutil.move(Path(unfinished) / dataset_id, target)
    return target


def load_minari(folder: Path, dataset_id: str) -> Trajectories:
    """Read the Minari dataset `dataset_id` of `folder`: one of our own, or any with flat continuous spaces.

    Values become float32. Raises DatasetError when it is absent, damaged, incomplete or of another kind.
    """
    target = Path(folder) / dataset_id
    data = target / "data"
    if not data.is_dir():
        raise DatasetError(
            f"There is no Minari dataset {dataset_id!r} in {folder}: the folder {data} does not exist. "
            "Make or download the dataset, or name the folder that holds it."
        )
    try:
        dataset = minari.MinariDataset(data)
        metadata = dataset.storage.metadata
        promised = {key: metadata[key] for key in ("total_episodes", "total_steps")}
        trajectories = Trajectories.from_episodes(
            [_episode(episode) for episode in dataset.iterate_episodes()]
        )
    # h5py and Minari let many kinds of error through for a damaged file, assertions among them
    except (OSError, LookupError, ValueError, TypeError, RuntimeError, AssertionError) as error:
        expected = (
            "readable HDF5 episodes with flat observations and actions, as its metadata.json describes them"
        )
        raise _damaged(data, expected, f"{type(error).__name__}: {error}") from error
    counts = {"total_episodes": len(trajectories), "total_steps": trajectories.transitions}
    if promised != counts:
        raise _damaged(data, f"{promised}, as its metadata.json says", str(counts))
    digest = trajectories.digest()
    if metadata.get(CONTENT_KEY, digest) != digest:
        raise _damaged(data, f"content with sha256 {metadata[CONTENT_KEY]}", digest)
    return trajectories


def _buffer(episode: Trajectory) -> EpisodeBuffer:
    # Minari declares lists and takes arrays: hence no keyword here that a type checker could compare.
    columns: dict[str, Any] = {
        "observations": np.concatenate([episode.observations, episode.final_observation[None]]),
        "actions": episode.actions,
        "rewards": episode.rewards,
        "terminations": episode.terminations.astype(bool),
        "truncations": episode.truncations.astype(bool),
    }
    return EpisodeBuffer(**columns)


def _episode(episode: minari.EpisodeData) -> Trajectory:
    for name in ("observations", "actions"):
        values = getattr(episode, name)
        if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind != "f":
            raise TypeError(f"the {name} of episode {episode.id} are not flat continuous vectors")
    return Trajectory(
        episode.observations[:-1].astype(np.float32),
        episode.actions.astype(np.float32),
        episode.rewards.astype(np.float32),
        episode.terminations.astype(np.float32),
        episode.truncations.astype(np.float32),
        episode.observations[-1].astype(np.float32),
    )


def _observation_space(trajectories: Trajectories) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(-np.inf, np.inf, trajectories.observations.shape[1:], np.float32)


def _damaged(data: Path, expected: str, found: str) -> DatasetError:
    return DatasetError(
        f"The dataset in {data} cannot be used: expected {expected}, found {found}. The file "
        "main_data.hdf5 or metadata.json there is damaged, incomplete or of another kind. Delete the folder "
        f"{data.parent} and run again: the dataset is then made, or downloaded, afresh."
    )


@contextmanager
def _minari_root(folder: Path) -> Iterator[None]:
    """Let Minari write below `folder`: it takes its root from the process environment only."""
    key = "MINARI_DATASETS_PATH"
    before = os.environ.get(key)
    # Absolute: Minari joins a relative root to itself when it asks for the size of a file.
    os.environ[key] = str(folder.resolve())
    try:
        yield
    finally:
        if before is None:
            del os.environ[key]
        else:
            os.environ[key] = before
