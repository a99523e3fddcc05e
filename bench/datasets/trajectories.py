"""The one trajectory store: every continuous-control dataset is held in memory as `Trajectories`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
STD_OFFSET = (
    1e-6  # keeps constant observation dimensions finite when normalised, as Decision Transformer does
)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One episode, or the beginning of one, of `steps` transitions; every array is float32.

    Shapes: `observations` (steps, dim), `actions` (steps, action_dim), `rewards`, `terminations` and
    `truncations` (steps,), the flags being 0 or 1, and `final_observation` (dim,), what was seen after the
    last action.
    """

    observations: Float32
    actions: Float32
    rewards: Float32
    terminations: Float32
    truncations: Float32
    final_observation: Float32

    @classmethod
    def whole(cls, observations: NDArray, actions: NDArray, rewards: NDArray, terminated: bool) -> Trajectory:
        """A finished episode from `observations` (steps + 1, dim); one not terminated ran out of time."""
        ends = np.zeros(len(rewards), np.float32)
        ends[-1] = 1.0
        return cls(
            observations=np.asarray(observations[:-1], np.float32),
            actions=np.asarray(actions, np.float32),
            rewards=np.asarray(rewards, np.float32),
            terminations=ends * terminated,
            truncations=ends * (not terminated),
            final_observation=np.asarray(observations[-1], np.float32),
        )

    def __len__(self) -> int:
        return len(self.rewards)

    def cut(self, steps: int) -> Trajectory:
        """The first `steps` transitions, marked as truncated; itself when it is no longer than that."""
        if steps >= len(self):
            return self
        observations = self.observations[: steps + 1]
        return Trajectory.whole(observations, self.actions[:steps], self.rewards[:steps], terminated=False)


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Trajectories laid end to end; trajectory i is the transitions `starts[i]` to `starts[i + 1]`.

    Shapes: `observations` (transitions, dim), `actions` (transitions, action_dim), `rewards`, `terminations`
    and `truncations` (transitions,), `final_observations` (trajectories, dim), all float32, the flags 0 or 1;
    `starts` (trajectories + 1,) int64, from 0 to the number of transitions.

    Raises ValueError when the arrays do not fit together, hold values that are not finite, or a trajectory is
    empty.
    """

    observations: Float32
    actions: Float32
    rewards: Float32
    terminations: Float32
    truncations: Float32
    final_observations: Float32
    starts: NDArray[np.int64]

    def __post_init__(self) -> None:
        problems = [*_shape_problems(self), *_value_problems(self)]
        if problems:
            raise ValueError(f"These arrays are not trajectories: {'; '.join(problems)}.")

    @classmethod
    def from_episodes(cls, episodes: Sequence[Trajectory]) -> Trajectories:
        """Join `episodes` in their order. Raises ValueError for none, or different dimensions."""
        if not episodes:
            raise ValueError("There are no episodes to make trajectories of; pass at least one.")
        columns = ("observations", "actions", "rewards", "terminations", "truncations")
        return cls(
            **{name: np.concatenate([getattr(episode, name) for episode in episodes]) for name in columns},
            final_observations=np.stack([episode.final_observation for episode in episodes]),
            starts=np.cumsum([0, *map(len, episodes)], dtype=np.int64),
        )

    def __len__(self) -> int:
        """The number of trajectories."""
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Trajectory:
        """Trajectory `index` (negative ones count from the end), as views. IndexError past the last."""
        index = range(len(self))[index]
        rows = slice(self.starts[index], self.starts[index + 1])
        return Trajectory(
            self.observations[rows],
            self.actions[rows],
            self.rewards[rows],
            self.terminations[rows],
            self.truncations[rows],
            self.final_observations[index],
        )

    @property
    def transitions(self) -> int:
        """The number of transitions in all trajectories together."""
        return len(self.rewards)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(trajectories,) transitions in each."""
        return np.diff(self.starts)

    @cached_property
    def returns(self) -> NDArray[np.float64]:
        """(trajectories,) undiscounted sums of rewards, added in float64."""
        return np.array([episode.rewards.sum(dtype=np.float64) for episode in self])

    def returns_to_go(self) -> Float32:
        """(transitions,) undiscounted reward from each transition to its trajectory's end, in float64."""
        parts = [np.cumsum(episode.rewards[::-1], dtype=np.float64)[::-1] for episode in self]
        return np.concatenate(parts).astype(np.float32)

    @cached_property
    def observation_mean(self) -> Float32:
        """(dim,) mean over all transitions."""
        return self.observations.mean(axis=0, dtype=np.float64).astype(np.float32)

    @cached_property
    def observation_std(self) -> Float32:
        """(dim,) standard deviation over all transitions, plus 1e-6."""
        return (self.observations.std(axis=0, dtype=np.float64) + STD_OFFSET).astype(np.float32)

    def digest(self) -> str:
        """The sha256 of the content: names, types, shapes and little-endian bytes of all arrays."""
        content = hashlib.sha256()
        for field in fields(self):
            array = np.ascontiguousarray(getattr(self, field.name))
            array = array.astype(array.dtype.newbyteorder("<"), copy=False)
            content.update(f"{field.name} {array.dtype.str} {array.shape}\n".encode())
            content.update(array.tobytes())
        return content.hexdigest()

    def __iter__(self) -> Iterator[Trajectory]:
        return (self[index] for index in range(len(self)))


def delay_rewards(trajectories: Trajectories) -> Trajectories:
    """The same trajectories with all reward of each moved to its last step (DeMa Appendix F.1)."""
    rewards = np.zeros_like(trajectories.rewards)
    rewards[trajectories.starts[1:] - 1] = trajectories.returns
    return replace(trajectories, rewards=rewards)


def _shape_problems(store: Trajectories) -> list[str]:
    steps, count = len(store.rewards), len(store.starts) - 1
    expected = {
        "observations": (steps, *store.final_observations.shape[1:]),
        "actions": (steps, *store.actions.shape[1:2]),
        "rewards": (steps,),
        "terminations": (steps,),
        "truncations": (steps,),
        "final_observations": (count, *store.observations.shape[1:2]),
    }
    problems = []
    for name, shape in expected.items():
        array = getattr(store, name)
        dimensions = 2 if name in ("observations", "actions", "final_observations") else 1
        if array.shape != shape or array.ndim != dimensions or array.dtype != np.float32:
            problems.append(f"{name} is {array.dtype} {array.shape}, expected float32 {shape}")
    starts = store.starts
    if count < 1 or starts[0] != 0 or starts[-1] != steps or (np.diff(starts) < 1).any():
        problems.append(
            f"starts must rise strictly from 0 to the {steps} transitions, with one trajectory or more"
        )
    if starts.dtype != np.int64:
        problems.append(f"starts is {starts.dtype}, expected int64")
    return problems


def _value_problems(store: Trajectories) -> list[str]:
    names = ("observations", "actions", "rewards", "final_observations")
    problems = [
        f"{name} holds NaN or infinity" for name in names if not np.isfinite(getattr(store, name)).all()
    ]
    for name in ("terminations", "truncations"):
        if not np.isin(getattr(store, name), (0, 1)).all():
            problems.append(f"{name} holds values other than 0 and 1")
    return problems
