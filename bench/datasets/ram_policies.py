"""Behaviour policies of the Atari games: they see the console's 128 bytes of memory, and no picture.

A decision lasts four frames. A policy sees the memory after the last decision and after the one before it; at
the start of an episode the two are the same. The files are those of `policies.py`: `policies/<name>.npz` with
`policies/<name>.json`, and the `ladder` of `ladders.py`, where the `noise` of a rung is the softmax's
temperature. A snapshot has no `log_std`: that array is empty. `python -m tools.behaviour game` writes both.

A snapshot whose record says `"kind": "scripted-pong"` is no network, and all of its arrays are empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.datasets.ladders import read_ladder
from bench.datasets.policies import (
    OBSERVATION_CLIP,
    SHIPPED,
    BehaviourPolicy,
    load_snapshots,
    read_record,
)
from bench.errors import DatasetError

RAM_BYTES = 128
FEATURES = 2 * RAM_BYTES
LARGEST_CHANGE = 16  # of a byte between two decisions; larger ones are clipped
SCRIPTED_PONG = "scripted-pong"

Ram = NDArray[np.uint8]
Actions = NDArray[np.int64]


class GamePolicy(Protocol):
    """What plays a game: actions from the memory now and one decision ago. `record` says how it was made."""

    @property
    def record(self) -> dict[str, Any]:
        """How the policy was made, and what it scores."""

    def act(self, ram_now: Ram, ram_before: Ram, generator: np.random.Generator) -> Actions:
        """Actions (count,) for memories (count, 128), as indices into the game's minimal set."""


@dataclass(frozen=True)
class RamPolicy:
    """A softmax over the actions from a network of ReLU layers over standardised features of the memory.

    `network` holds the arrays: mean and deviation of the features (256,), `weights` (inputs, outputs) and
    `biases` (outputs,) of each layer in half precision, and the record. `temperature` divides the logits.
    """

    network: BehaviourPolicy
    temperature: float = 1.0

    @property
    def record(self) -> dict[str, Any]:
        """How the snapshot was made, and what it scores."""
        return self.network.record

    @property
    def actions(self) -> int:
        """How many actions the policy chooses from."""
        return len(self.network.biases[-1])

    @cached_property
    def _layers(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        pairs = zip(self.network.weights, self.network.biases, strict=True)
        return [(weight.astype(np.float32), bias.astype(np.float32)) for weight, bias in pairs]

    def probabilities(self, ram_now: Ram, ram_before: Ram) -> NDArray[np.float64]:
        """Probabilities (count, actions) for memories (count, 128) now and one decision ago."""
        hidden = ram_features(ram_now, ram_before)
        hidden = standardised(hidden, self.network.observation_mean, self.network.observation_std)
        for weight, bias in self._layers[:-1]:
            hidden = np.maximum(hidden @ weight + bias, 0.0)
        weight, bias = self._layers[-1]
        logits = (hidden @ weight + bias).astype(np.float64) / self.temperature
        unnormalised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return unnormalised / unnormalised.sum(axis=1, keepdims=True)

    def act(self, ram_now: Ram, ram_before: Ram, generator: np.random.Generator) -> Actions:
        """Sampled actions (count,) for memories (count, 128) now and one decision ago."""
        thresholds = self.probabilities(ram_now, ram_before).cumsum(axis=1)[:, :-1]
        return (generator.random(len(ram_now))[:, None] >= thresholds).sum(axis=1, dtype=np.int64)


@dataclass(frozen=True)
class ScriptedPong:
    """Pong's paddle follows the ball; a share of the actions, `random_share`, is drawn uniformly from all.

    Bytes 51 and 54 of the memory are the rows of the paddle and of the ball, counted downwards. The paddle is
    centred on the ball at a difference of 7 and rests while it is within 3 of that.
    """

    random_share: float
    record: dict[str, Any]

    ACTIONS = 6
    STAY, UP, DOWN = 0, 2, 3
    PADDLE, BALL, CENTRE, REST = 51, 54, 7, 3

    def act(self, ram_now: Ram, ram_before: Ram, generator: np.random.Generator) -> Actions:
        """Actions (count,) for memories (count, 128); `ram_before` is not looked at."""
        off_centre = ram_now[:, self.BALL].astype(np.int64) - ram_now[:, self.PADDLE] - self.CENTRE
        follow = np.where(off_centre < -self.REST, self.UP, self.STAY)
        follow = np.where(off_centre > self.REST, self.DOWN, follow)
        drawn = generator.integers(self.ACTIONS, size=len(ram_now))
        return np.where(generator.random(len(ram_now)) < self.random_share, drawn, follow)


@dataclass(frozen=True)
class RamRung:
    """A part of a game's dataset: `policy` acts in the `share` of all decisions."""

    policy: GamePolicy
    share: float


def ram_features(ram_now: Ram, ram_before: Ram) -> NDArray[np.float32]:
    """Features (count, 256) of memories (count, 128): bytes over 255, clipped changes over 16."""
    change = ram_now.astype(np.int16) - ram_before.astype(np.int16)
    change = change.clip(-LARGEST_CHANGE, LARGEST_CHANGE)
    return np.concatenate([ram_now / np.float32(255), change / np.float32(LARGEST_CHANGE)], axis=1)


def standardised(
    features: NDArray[np.float32], mean: NDArray[np.floating], deviation: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Features (count, 256) in deviations (256,) from the mean (256,), clipped at ten."""
    scaled = (features - mean) / deviation
    return np.clip(scaled, -OBSERVATION_CLIP, OBSERVATION_CLIP).astype(np.float32)


def load_ram_ladder(name: str, folder: Path = SHIPPED) -> list[RamRung]:
    """The rungs of the games' policy `name` in `folder`, in the order in which a dataset holds them.

    Raises UnavailableError for a name that does not ship, DatasetError, naming file, key and remedy, for a
    file that is damaged or a ladder that does not hold together.
    """
    snapshots = load_snapshots(name, folder)
    record_file = folder / f"{name}.json"
    rungs = read_ladder(record_file, read_record(record_file).get("ladder"), len(snapshots))
    if any(rung.whole_episodes for rung in rungs):
        raise _refusal(record_file, "ladder", "whole_episodes is for robots, not for games: leave it out")
    _refuse_misshapen(record_file, snapshots)
    return [RamRung(game_policy(snapshots[rung.snapshot], rung.noise), rung.share) for rung in rungs]


def game_policy(snapshot: BehaviourPolicy, temperature: float) -> GamePolicy:
    """The player that a snapshot of a file stands for; a scripted one has no use for the temperature."""
    if snapshot.record.get("kind") == SCRIPTED_PONG:
        return ScriptedPong(snapshot.record["random_share"], snapshot.record)
    return RamPolicy(snapshot, temperature)


def _refuse_misshapen(record_file: Path, snapshots: Sequence[BehaviourPolicy]) -> None:
    for index, snapshot in enumerate(snapshots):
        if snapshot.record.get("kind") == SCRIPTED_PONG:
            share = snapshot.record.get("random_share")
            if not isinstance(share, (int, float)) or not 0 <= share <= 1:
                problem = f"it has to be a number from 0 to 1, got {share!r}"
                raise _refusal(record_file, f"snapshots.{index}.random_share", problem)
        elif len(snapshot.observation_mean) != FEATURES:
            problem = (
                f"its network has {len(snapshot.observation_mean)} inputs and not the {FEATURES} of a "
                "console's memory: it is the policy of a robot, or the file is damaged"
            )
            raise _refusal(record_file, f"snapshots.{index}", problem)


def _refusal(record_file: Path, key: str, problem: str) -> DatasetError:
    return DatasetError(f"{record_file}: key {key}: {problem}. Correct the file, or restore it from git.")
