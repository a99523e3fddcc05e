"""Ladders: which snapshots a dataset's transitions come from, how noisy each acts, and its share.

A ladder is data in the record of a policy (`policies/<name>.json`), under `ladder`: a list of rungs, in the
order in which a dataset holds them. A record without that key stands for equal shares of all its snapshots.

    "ladder": [{"snapshot": 0, "share": 0.98},
               {"snapshot": 1, "share": 0.02, "noise": 0.3, "whole_episodes": true}]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from bench.catalogue.strict import Strict
from bench.datasets.policies import SHIPPED, BehaviourPolicy, load_snapshots, read_record
from bench.errors import DatasetError

TOLERANCE = 1e-6  # shares are written in decimals


class RungRecord(Strict):
    """One rung as its file has it; `snapshot` counts from 0, the earliest of the record's snapshots."""

    snapshot: int = Field(ge=0)
    share: float = Field(gt=0.0, le=1.0)
    noise: float = Field(default=1.0, gt=0.0)
    whole_episodes: bool = False


@dataclass(frozen=True)
class Rung:
    """A part of a dataset: `policy`, its noise scaled already, acts in the `share` of all transitions.

    With `whole_episodes` the part is as many uncut episodes as fit into the share, and at least one.
    """

    policy: BehaviourPolicy
    share: float
    whole_episodes: bool = False


def load_ladder(name: str, folder: Path = SHIPPED) -> list[Rung]:
    """The rungs of the policy `name` in `folder`, in the order in which a dataset holds them.

    Raises UnavailableError for a name that does not ship, DatasetError, naming file and key, for a file that
    is damaged or a ladder that does not hold together.
    """
    snapshots = load_snapshots(name, folder)
    record_file = folder / f"{name}.json"
    written = read_record(record_file).get("ladder")
    if written is None:
        return [Rung(policy, 1 / len(snapshots)) for policy in snapshots]
    rungs = read_ladder(record_file, written, len(snapshots))
    return [
        Rung(replace(snapshots[rung.snapshot], noise=rung.noise), rung.share, rung.whole_episodes)
        for rung in rungs
    ]


def read_ladder(record_file: Path, written: Any, snapshots: int) -> list[RungRecord]:
    """The rungs that a record of so many snapshots has; DatasetError, naming file and key, at an error."""
    try:
        rungs = TypeAdapter(list[RungRecord]).validate_python(written)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["ladder", *map(str, first["loc"])])
        raise _refusal(record_file, key, f"{first['msg']}, got {str(first['input'])[:80]!r}") from None
    for index, rung in enumerate(rungs):
        if rung.snapshot >= snapshots:
            problem = f"there is no snapshot {rung.snapshot}, the record has {snapshots}, counted from 0"
            raise _refusal(record_file, f"ladder.{index}.snapshot", problem)
    if all(rung.whole_episodes for rung in rungs):
        raise _refusal(record_file, "ladder", "it needs a rung without whole_episodes, which takes the rest")
    total = sum(rung.share for rung in rungs)
    if abs(total - 1) > TOLERANCE:
        raise _refusal(record_file, "ladder", f"its shares add up to {total:.6g} and not to 1")
    return rungs


def written_ladder(rungs: Sequence[RungRecord]) -> list[dict[str, Any]]:
    """Rungs as a record has them: what is as it is by default is left out."""
    return [rung.model_dump(exclude_defaults=True) for rung in rungs]


def _refusal(record_file: Path, key: str, problem: str) -> DatasetError:
    return DatasetError(f"{record_file}: key {key}: {problem}. Correct the file, or restore it from git.")
