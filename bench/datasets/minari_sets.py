"""Minari's own `mujoco/*` datasets, from the store of the minari package.

They were recorded in the v5 environments and are not D4RL's: what rests on them is marked `minari` and is
never set against a printed score. Minari has no medium-replay set; medium-expert is its medium and its expert
set, one after the other.
"""

from __future__ import annotations

from pathlib import Path

from bench.catalogue.catalogue import Task
from bench.catalogue.option_types import Options
from bench.catalogue.real_data import located
from bench.datasets.minari_store import load_minari
from bench.datasets.real import check_counts, check_dimensions, check_sha256, store
from bench.datasets.real import load as load
from bench.datasets.trajectories import Trajectories, Trajectory
from bench.work.record import Facts


def make(options: Options, task: str, folder: Path, declared: Task) -> Facts:
    """Check the task's datasets and copy them into the store below `folder`; facts for the sidecar.

    Raises UnavailableError where one is not in Minari's store, DatasetError, with file, key and remedy, where
    one is damaged or of another environment.
    """
    assert declared.given is not None
    episodes: list[Trajectory] = []
    digests = []
    for row, path in located(declared):
        digests.append(check_sha256(path, row))
        trajectories = load_minari(declared.given.folder, row.minari_id)
        check_dimensions(trajectories, path, options["observation_dim"], options["action_dim"])
        check_counts(trajectories, path, row)
        episodes += trajectories
    names = [row.minari_id for row in declared.rows]
    facts = {"file": ", ".join(names), "file_sha256": ", ".join(digests)}
    joined = Trajectories.from_episodes(episodes)
    return facts | store(joined, options, folder, f"{' and '.join(names)}, collected in the v5 environment")
