"""Trajectories of frames on disk, compressed: about a hundred bytes for a frame of 84 x 84.

A folder holds three files:

    frames.zlib    chunks of frames one after another, each frame but a chunk's first as what differs (XOR)
                   from the one before, compressed by zlib at level 1
    steps.npz      the small arrays, and the bytes of each chunk
    frames.json    sizes, and the sha256 of the other two; sealed by a digest of its own text, written last

On reading, frames are kept in memory up to `IN_MEMORY` bytes, and else mapped from a file without a name in
the folder of temporary files, which is gone with the process.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from bench.datasets.frame_trajectories import Frames, FrameTrajectories
from bench.errors import DatasetError
from bench.files import write_atomically
from bench.work.integrity import Files, described, first_trouble, sealed, unsealed
from bench.work.record import Facts

FRAMES, STEPS, PROMISE = "frames.zlib", "steps.npz", "frames.json"
CHUNK = 1024  # frames that are compressed together
LEVEL = 1  # zlib's fastest
IN_MEMORY = 2**30  # bytes


class FrameWriter:
    """Writes trajectories into `folder` as they come; no more than a chunk of frames is held.

    Call `frames` as often as a trajectory needs and then `end`, for each trajectory, and `close` at the end:
    without it the folder is no dataset. `action_dim` is the number of actions to choose from.
    """

    def __init__(self, folder: Path, side: int, stacked_frames: int, action_dim: int) -> None:
        self.folder, self.side, self.stacked_frames = folder, side, stacked_frames
        self.action_dim = action_dim
        self._file = (folder / FRAMES).open("wb")
        self._held, self._holding = np.empty((CHUNK, side, side), np.uint8), 0
        self._chunks: list[int] = []
        self._pending = 0  # frames of the trajectory that is being written
        self._columns: dict[str, list[NDArray]] = {
            name: [] for name in ("actions", "rewards", "terminations", "truncations")
        }
        self._final_frames: list[Frames] = []
        self._lengths: list[int] = []

    @property
    def transitions(self) -> int:
        """Transitions of the trajectories that have ended."""
        return sum(self._lengths)

    def frames(self, frames: Frames) -> None:
        """More frames (n, side, side) of the trajectory that is being written."""
        self._pending += len(frames)
        while len(frames):
            taken = frames[: CHUNK - self._holding]
            self._held[self._holding : self._holding + len(taken)] = taken
            self._holding, frames = self._holding + len(taken), frames[len(taken) :]
            if self._holding == CHUNK:
                self._flush()

    def end(self, actions: NDArray, rewards: NDArray, terminated: bool, final_frame: Frames) -> None:
        """End a trajectory with the numbers of its actions (n,), its rewards (n,) and its last frame.

        One that did not terminate was truncated. Raises ValueError where there is not a frame for each step.
        """
        steps = len(rewards)
        if steps < 1 or not steps == len(actions) == self._pending:
            raise ValueError(
                f"a trajectory needs a frame, an action and a reward for each of its steps: it has "
                f"{self._pending} frames, {len(actions)} actions and {steps} rewards"
            )
        last = np.arange(steps) == steps - 1
        self._columns["actions"].append(np.asarray(actions, np.uint8))
        self._columns["rewards"].append(np.asarray(rewards, np.float32))
        self._columns["terminations"].append(last & terminated)
        self._columns["truncations"].append(last & (not terminated))
        self._final_frames.append(np.array(final_frame, np.uint8))
        self._lengths.append(steps)
        self._pending = 0

    def close(self) -> None:
        """Write what is left: from here on the folder is a dataset."""
        self._flush()
        self._file.close()
        np.savez_compressed(
            self.folder / STEPS,
            allow_pickle=False,
            **{name: np.concatenate(parts) for name, parts in self._columns.items()},
            final_frames=np.stack(self._final_frames),
            starts=np.cumsum([0, *self._lengths], dtype=np.int64),
            chunks=np.array(self._chunks, np.int64),
        )
        written = described(self.folder, [self.folder / FRAMES, self.folder / STEPS])
        promise = {
            "side": self.side,
            "stacked_frames": self.stacked_frames,
            "action_dim": self.action_dim,
            "transitions": self.transitions,
            "chunk_frames": CHUNK,
            "files": {name: one.model_dump(mode="json") for name, one in written.items()},
        }
        write_atomically(self.folder / PROMISE, sealed(promise))

    def _flush(self) -> None:
        if not self._holding:
            return
        frames = self._held[: self._holding]
        changes = frames.copy()
        changes[1:] ^= frames[:-1]
        compressed = zlib.compress(changes.tobytes(), LEVEL)
        self._file.write(compressed)
        self._chunks.append(len(compressed))
        self._holding = 0


def load_frames(folder: Path) -> FrameTrajectories:
    """The trajectories that a `FrameWriter` wrote into `folder`, once every byte was checked.

    Raises DatasetError, naming file and remedy, where one is missing, damaged or not of this kind.
    """
    promise = _promise(folder)
    with np.load(folder / STEPS, allow_pickle=False) as stored:
        steps = {name: stored[name] for name in stored.files}
    side, total = promise["side"], promise["transitions"]
    frames = _room((total, side, side))
    start = 0
    for chunk in _chunks(folder / FRAMES, steps.pop("chunks")):
        changes = np.frombuffer(chunk, np.uint8).reshape(-1, side, side)
        np.bitwise_xor.accumulate(changes, axis=0, out=frames[start : start + len(changes)])
        start += len(changes)
    frames.flags.writeable = False
    actions = np.eye(promise["action_dim"], dtype=np.float32)[steps.pop("actions")]
    flags = {name: steps.pop(name).astype(np.float32) for name in ("terminations", "truncations")}
    return FrameTrajectories(
        frames=frames, actions=actions, stacked_frames=promise["stacked_frames"], **flags, **steps
    )


def facts_of(data: FrameTrajectories) -> Facts:
    """What a dataset of frames says of itself."""
    return {
        "transitions": int(data.transitions),
        "trajectories": len(data),
        "mean_return": float(data.returns.mean()),
        "standard_deviation_of_return": float(data.returns.std()),
        "largest_return": float(data.returns.max()),
        "content_sha256": data.digest(),
    }


def _promise(folder: Path) -> dict[str, Any]:
    """What `frames.json` says, once the files that it lists are as they were written."""
    path = folder / PROMISE
    remedy = f"Delete the folder {folder} and run again: the dataset is then made afresh."
    try:
        promise = unsealed(path)
    except FileNotFoundError:
        raise DatasetError(f"{path}: missing, so no whole dataset of frames is here. {remedy}") from None
    except ValueError as error:
        raise DatasetError(f"{path}: damaged or edited: {error}. {remedy}") from None
    files = TypeAdapter(Files).validate_python(promise["files"])
    if trouble := first_trouble(folder, files, path):
        raise DatasetError(f"{trouble}. {remedy}")
    return promise


def _chunks(path: Path, lengths: NDArray[np.int64]) -> Iterable[bytes]:
    with path.open("rb") as file:
        for length in lengths.tolist():
            yield zlib.decompress(file.read(length))


def _room(shape: tuple[int, ...]) -> Frames:
    """An array to fill: in memory, or where it is large in a file that nothing else sees."""
    if np.prod(shape, dtype=np.int64) <= IN_MEMORY:
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.uint8, "w+", shape=shape)
