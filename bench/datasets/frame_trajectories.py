"""Trajectories of grey frames: what `Trajectories` is for vectors, with one frame kept for each decision.

A state is a stack of the last frames. Stacks overlap, so they are put together when they are asked for: half
a million frames of 84 x 84 are 3.5 GB, and their stacks would be four times that. Shapes: T transitions of N
trajectories, A actions to choose from, frames (side, side) of grey levels 0 ... 255, stacks (k, side, side),
the newest frame last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bench.datasets.trajectories import STD_OFFSET, Float32

Frames = NDArray[np.uint8]
PASS = 512  # frames that a pass over the data holds at once


@dataclass(frozen=True, eq=False)
class FrameTrajectories:
    """Trajectories laid end to end; trajectory i is the transitions `starts[i]` to `starts[i + 1]`.

    `frames` (T, side, side) uint8, which may be mapped from a file, are what was seen when each action was
    decided on, `final_frames` (N, side, side) uint8 what was seen after the last action. `actions` (T, A) are
    one-hot; `rewards`, `terminations` and `truncations` (T,), the flags 0 or 1; all four float32. `starts`
    (N + 1,) int64 rises from 0 to T. `stacked_frames` is k.

    Raises ValueError when the arrays do not fit together, or a trajectory is empty.
    """

    frames: Frames
    actions: Float32
    rewards: Float32
    terminations: Float32
    truncations: Float32
    final_frames: Frames
    starts: NDArray[np.int64]
    stacked_frames: int

    def __post_init__(self) -> None:
        problems = [*_shape_problems(self), *_value_problems(self)]
        if problems:
            raise ValueError(f"These arrays are not trajectories of frames: {'; '.join(problems)}.")

    def __len__(self) -> int:
        """The number of trajectories."""
        return len(self.starts) - 1

    @property
    def transitions(self) -> int:
        """The number of transitions in all trajectories together."""
        return len(self.rewards)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) transitions in each trajectory."""
        return np.diff(self.starts)

    @cached_property
    def returns(self) -> NDArray[np.float64]:
        """(N,) undiscounted sums of rewards, added in float64."""
        sums: NDArray[np.float64] = np.add.reduceat(self.rewards, self.starts[:-1], dtype=np.float64)
        return sums

    def returns_to_go(self) -> Float32:
        """(T,) undiscounted reward from each transition to its trajectory's end, in float64."""
        earned = np.split(self.rewards, self.starts[1:-1])
        parts = [np.cumsum(rewards[::-1], dtype=np.float64)[::-1] for rewards in earned]
        return np.concatenate(parts).astype(np.float32)

    @property
    def observations(self) -> FrameStacks:
        """The stacks that actions were decided on, by the number of the transition."""
        return FrameStacks(self, after=False)

    @property
    def next_observations(self) -> FrameStacks:
        """The stacks that actions led to, by the number of the transition."""
        return FrameStacks(self, after=True)

    def pixel_mean(self) -> Float32:
        """(side, side) mean grey level of each pixel over all frames that were decided on."""
        sums, _ = self._sums
        return (sums / self.transitions).astype(np.float32)

    def pixel_deviation(self) -> float:
        """Deviation of the grey levels from their pixels' means, over all frames and pixels, plus 1e-6."""
        sums, squares = self._sums
        mean = sums / self.transitions
        variance = squares / (self.transitions * mean.size) - float((mean**2).mean())
        return float(np.sqrt(max(variance, 0.0))) + STD_OFFSET

    def digest(self) -> str:
        """The sha256 of the content: names, types, shapes and little-endian bytes of all arrays, and k."""
        content = hashlib.sha256(f"stacked_frames {self.stacked_frames}\n".encode())
        for field in fields(self):
            if field.name == "stacked_frames":
                continue
            array: NDArray = getattr(self, field.name)
            little = array.dtype.newbyteorder("<")
            content.update(f"{field.name} {little.str} {array.shape}\n".encode())
            for part in _parts(array):
                content.update(part.astype(little, copy=False).tobytes())
        return content.hexdigest()

    @cached_property
    def _sums(self) -> tuple[NDArray[np.int64], int]:
        """Of each pixel (side, side), and of the squares of all; whole numbers, so that no order matters."""
        sums, squares = np.zeros(self.frames.shape[1:], np.int64), 0
        for part in _parts(self.frames):
            sums += part.sum(axis=0, dtype=np.int64)
            squares += int(np.square(part, dtype=np.uint16).sum(dtype=np.int64))
        return sums, squares


class FrameStacks:
    """Stacks (k, side, side) of the frames of each transition's own trajectory, zeros before its first.

    `after` its action, the newest frame is the one that the action led to.
    """

    def __init__(self, trajectories: FrameTrajectories, after: bool) -> None:
        self.trajectories, self.after = trajectories, after

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, k, side, side)."""
        frames = self.trajectories.frames
        return (len(frames), self.trajectories.stacked_frames, *frames.shape[1:])

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """That of grey levels."""
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self.trajectories.frames)

    def __getitem__(self, steps: NDArray[np.integer] | int) -> Frames:
        """Stacks (..., k, side, side) of transitions `steps` (...), counted from 0; IndexError for others."""
        data, steps = self.trajectories, np.asarray(steps)
        if not np.issubdtype(steps.dtype, np.integer):
            raise IndexError(f"stacks are asked for by whole numbers, got {steps.dtype}")
        if steps.size and (steps.min() < 0 or steps.max() >= len(self)):
            raise IndexError(
                f"transitions are numbered 0 to {len(self) - 1}, got {steps.min()} to {steps.max()}"
            )
        owners = np.searchsorted(data.starts, steps, side="right") - 1
        places = steps[..., None] + np.arange(1 - data.stacked_frames, 1) + int(self.after)
        missing, final = places < data.starts[owners][..., None], places == data.starts[owners + 1][..., None]
        stacks: Frames = data.frames[np.where(missing | final, steps[..., None], places)]
        stacks[missing] = 0
        if self.after:
            stacks[final] = data.final_frames[np.broadcast_to(owners[..., None], final.shape)[final]]
        return stacks


def _parts(array: NDArray) -> Iterator[NDArray]:
    """An array in parts along its first axis, so that of one mapped from a file little is in memory."""
    return (array[start : start + PASS] for start in range(0, len(array), PASS))


def _shape_problems(store: FrameTrajectories) -> list[str]:
    steps, count = len(store.rewards), len(store.starts) - 1
    expected = {
        "frames": (np.uint8, (steps, *store.frames.shape[1:2] * 2)),
        "actions": (np.float32, (steps, *store.actions.shape[1:2])),
        "rewards": (np.float32, (steps,)),
        "terminations": (np.float32, (steps,)),
        "truncations": (np.float32, (steps,)),
        "final_frames": (np.uint8, (count, *store.frames.shape[1:])),
        "starts": (np.int64, (count + 1,)),
    }
    problems = []
    for name, (kind, shape) in expected.items():
        array: NDArray = getattr(store, name)
        dimensions = 3 if "frames" in name else 2 if name == "actions" else 1
        if array.shape != shape or array.ndim != dimensions or array.dtype != kind:
            problems.append(f"{name} is {array.dtype} {array.shape}, expected {kind.__name__} {shape}")
    starts = store.starts
    if count < 1 or starts[0] != 0 or starts[-1] != steps or (np.diff(starts) < 1).any():
        problems.append(
            f"starts must rise strictly from 0 to the {steps} transitions, with one trajectory or more"
        )
    if store.stacked_frames < 1:
        problems.append(f"stacked_frames is {store.stacked_frames}, expected 1 or more")
    return problems


def _value_problems(store: FrameTrajectories) -> list[str]:
    problems = [] if np.isfinite(store.rewards).all() else ["rewards holds NaN or infinity"]
    for name in ("actions", "terminations", "truncations"):
        if not np.isin(getattr(store, name), (0, 1)).all():
            problems.append(f"{name} holds values other than 0 and 1")
    if store.actions.ndim == 2 and not (store.actions.sum(axis=1) == 1).all():
        problems.append("actions are not one-hot")
    return problems
