"""Behaviour policies: the small networks, shipped with the package, that local datasets are rolled out from.

A name stands for one snapshot of a training run, or for several, early ones first. It is two files beside
this module: `policies/<name>.npz`, the float16 weights and the observation normaliser of each snapshot, and
`policies/<name>.json`, their records (how each was made, what it scores), the sha256 of the weights, and the
shares that a dataset takes of the snapshots (`ladders.py`). `python -m tools.behaviour` writes both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DatasetError, UnavailableError
from bench.work.record import Facts

SHIPPED = Path(__file__).parent / "policies"
OBSERVATION_CLIP = 10.0  # standard deviations; the same bound while training and acting


@dataclass(frozen=True)
class BehaviourPolicy:
    """A Gaussian policy over normalised observations: two tanh layers, a linear mean, constant deviations.

    Shapes: `observation_mean`, `observation_std` (dim,) float32; `weights` three float16 arrays (inputs,
    outputs) with `biases` (outputs,); `log_std` (action_dim,) float16; `record` says how
    the snapshot was made and what it scores. `noise` is a factor on the deviations of sampled actions.
    """

    env_id: str
    observation_mean: NDArray[np.float32]
    observation_std: NDArray[np.float32]
    weights: tuple[NDArray[np.float16], ...]
    biases: tuple[NDArray[np.float16], ...]
    log_std: NDArray[np.float16]
    record: dict[str, Any]
    noise: float = 1.0

    def act(
        self, observations: NDArray[np.floating], generator: np.random.Generator | None
    ) -> NDArray[np.float32]:
        """Actions (count, action_dim) for `observations` (count, dim), not clipped to the bounds.

        With a `generator` the actions are sampled; with None they are the means. Computed in float64, so that
        the float16 weights are the only rounding.
        """
        hidden = (np.asarray(observations, np.float64) - self.observation_mean) / self.observation_std
        hidden = np.clip(hidden, -OBSERVATION_CLIP, OBSERVATION_CLIP)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = np.tanh(hidden @ weight.astype(np.float64) + bias)
        actions = hidden @ self.weights[-1].astype(np.float64) + self.biases[-1]
        if generator is not None:
            deviations = self.noise * np.exp(self.log_std.astype(np.float64))
            actions += deviations * generator.standard_normal(actions.shape)
        return actions.astype(np.float32)


def load_snapshots(name: str, folder: Path = SHIPPED) -> list[BehaviourPolicy]:
    """The snapshots of `name` in `folder` (by default: those shipped with the package), early ones first.

    Raises UnavailableError for a name that does not ship, DatasetError for an unreadable file or weights that
    do not have the sha256 their record states.
    """
    weights_file, record_file = folder / f"{name}.npz", folder / f"{name}.json"
    if name not in shipped_policies(folder):
        names = ", ".join(shipped_policies(folder)) or "none"
        raise UnavailableError(
            f"There is no behaviour policy {name!r}. Policies there: {names}. Name one of these, or train "
            "one with `python -m tools.behaviour train` and ship it with `python -m tools.behaviour ship`."
        )
    record = read_record(record_file)
    _verify(weights_file, record, name)
    with np.load(weights_file) as arrays:
        return [_unpack(arrays, index, described) for index, described in enumerate(record["snapshots"])]


def save_snapshots(
    snapshots: Sequence[BehaviourPolicy],
    name: str,
    folder: Path,
    command: str,
    ladder: list[dict[str, Any]] | None = None,
) -> Path:
    """Write the snapshots as `<name>.npz` and `<name>.json`, the records with a sha256; returns the first.

    `ladder` is what the record says of the shares; with None it says nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights_file = folder / f"{name}.npz"
    arrays = {
        f"{index}/{key}": array
        for index, policy in enumerate(snapshots)
        for key, array in _pack(policy).items()
    }
    np.savez(weights_file, allow_pickle=False, **arrays)
    record = {
        "name": name,
        "env_id": snapshots[0].env_id,
        "snapshots": [policy.record for policy in snapshots],
        "command": command,
        "sha256": _sha256(weights_file),
    }
    if ladder is not None:
        record["ladder"] = ladder
    (folder / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return weights_file


def _pack(policy: BehaviourPolicy) -> dict[str, NDArray[np.floating]]:
    arrays: dict[str, NDArray[np.floating]] = {
        f"weight_{layer}": weight for layer, weight in enumerate(policy.weights)
    }
    arrays |= {f"bias_{layer}": bias for layer, bias in enumerate(policy.biases)}
    return arrays | {
        "observation_mean": policy.observation_mean,
        "observation_std": policy.observation_std,
        "log_std": policy.log_std,
    }


def _unpack(arrays: Any, index: int, record: dict[str, Any]) -> BehaviourPolicy:
    layers = range(sum(key.startswith(f"{index}/weight_") for key in arrays.files))
    return BehaviourPolicy(
        env_id=record["env_id"],
        observation_mean=arrays[f"{index}/observation_mean"],
        observation_std=arrays[f"{index}/observation_std"],
        weights=tuple(arrays[f"{index}/weight_{layer}"] for layer in layers),
        biases=tuple(arrays[f"{index}/bias_{layer}"] for layer in layers),
        log_std=arrays[f"{index}/log_std"],
        record=record,
    )


def shipped_policies(folder: Path = SHIPPED) -> list[str]:
    """The sorted names of the policies in `folder`: those whose weights and record are both there."""
    return sorted(path.stem for path in folder.glob("*.npz") if path.with_suffix(".json").is_file())


def read_record(record_file: Path) -> Facts:
    """The content of a record; DatasetError, naming file and remedy, if it is no record of a policy."""
    try:
        record = json.loads(record_file.read_text(encoding="utf-8"))
        missing = [key for key in ("env_id", "sha256", "command", "snapshots") if key not in record]
    except (ValueError, TypeError) as error:
        raise DatasetError(
            f"{record_file} is not a JSON object ({error}). Restore it from git, or train the policy again."
        ) from error
    if missing:
        raise DatasetError(
            f"{record_file} lacks {', '.join(missing)}. Restore it from git, or train the policy again."
        )
    return record


def _verify(weights_file: Path, record: dict[str, Any], name: str) -> None:
    found = _sha256(weights_file)
    if found != record["sha256"]:
        raise DatasetError(
            f"{weights_file} does not hold the weights of {name} that its record describes: its sha256 is "
            f"{found}, expected {record['sha256']}. Restore the file from git, or train the policy again "
            f"with: {record['command']}"
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
