"""The DQN-replay data of Atari (Agarwal et al. 2020), sampled as the Decision Transformer's code does.

A game's folder `<Game>/1/replay_logs` holds fifty buffers of a DQN run, early ones first, each in four
gzipped `.npy` files `$store$_<kind>_ckpt.<buffer>.gz`: `observation` (n, 84, 84) uint8, one frame a decision,
`action` (n,) int32, `reward` (n,) float32 and `terminal` (n,) uint8. Facts of DT's create_dataset.py that are
kept:

1. One of the last `buffers` buffers is drawn at random, evenly, until there are `transitions` or more.
2. A visit reads on where the last one to that buffer stopped, up to the end of the eleventh trajectory: the
   code counts ten down to nought. What it began is kept whole, so there are a few more than `transitions`.
3. No more than the first 100,000 steps of a buffer are read; a visit that would go further gives nothing.
4. Rewards are used as they are stored.

Two things differ. The recorder puts blank steps before each episode, one less than a stack has frames; no
action was decided on there, so they are left out, and their number stands in the facts. A drawn buffer that
is missing is refused, where the code passes over it.
"""

from __future__ import annotations

import gzip
import os
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from bench.catalogue.catalogue import Task
from bench.catalogue.option_types import Options
from bench.catalogue.real_data import located
from bench.catalogue.sources import replay_digest, replay_file
from bench.datasets.frame_store import FrameWriter, facts_of
from bench.datasets.frame_store import load_frames as load
from bench.datasets.frame_trajectories import Frames
from bench.errors import DatasetError
from bench.seeds import stream
from bench.work.record import Facts

BUFFERS = 50
READABLE = 100_000  # steps of a buffer
VISIT = 11  # trajectories
KINDS: dict[str, type[np.generic]] = {"action": np.int32, "reward": np.float32, "terminal": np.uint8}
SIZE_BYTES = 4  # at the end of a gzip file: the size of its content


class Steps(NamedTuple):
    """What a buffer holds beside its frames, (n,) each, as far as it is read."""

    action: NDArray[np.int32]
    reward: NDArray[np.float32]
    terminal: NDArray[np.uint8]


def make(options: Options, task: str, folder: Path, declared: Task) -> Facts:
    """Draw the task's trajectories from the folder that the run was given; facts for the sidecar.

    Raises UnavailableError where there is no such folder, DatasetError, with file and remedy, where a buffer
    is missing, damaged, of another game, or too few trajectories are there.
    """
    [(row, path)] = located(declared)
    generator = stream("data", "replay", task)
    writer = FrameWriter(folder, options["frame_side"], options["stacked_frames"], options["action_dim"])
    padding, visits = sample(path, writer, options, generator)
    writer.close()
    return {
        "file": row.file,
        "files_digest": replay_digest(path),
        "visits": visits,
        "padding_steps": padding,
        "final_observations": "the last observation again",
    } | facts_of(load(folder))


def sample(
    folder: Path, writer: FrameWriter, options: Options, generator: np.random.Generator
) -> tuple[int, int]:
    """Write trajectories of randomly drawn buffers; the blank steps left out, and the visits to buffers."""
    first = BUFFERS - min(options["buffers"], BUFFERS)
    reached = dict.fromkeys(range(first, BUFFERS), 0)
    padding = visits = 0
    while writer.transitions < options["transitions"]:
        if not reached:
            raise DatasetError(
                f"{folder}: the last {options['buffers']} buffers hold {writer.transitions} transitions in "
                f"visits of {VISIT} whole trajectories, and {options['transitions']} are asked for. Lower "
                "the option transitions, raise buffers, or get the whole data."
            )
        buffer = int(generator.choice(list(reached)))
        steps = read_steps(folder, buffer, options["action_dim"])
        ends = np.flatnonzero(steps.terminal[reached[buffer] :])[:VISIT] + reached[buffer] + 1
        if len(ends) < VISIT:
            del reached[buffer]
            continue
        bounds = [reached[buffer], *ends.tolist()]
        padding += _copy(folder, buffer, steps, bounds, writer)
        reached[buffer] = bounds[-1]
        visits += 1
    return padding, visits


def read_steps(folder: Path, buffer: int, action_dim: int) -> Steps:
    """Actions, rewards and ends of a buffer's steps, as far as it is read; a game has `action_dim` actions.

    Raises DatasetError as `make` says.
    """
    read: dict[str, NDArray[Any]] = {}
    count = _shape(replay_file(folder, "observation", buffer), np.uint8, 3)[0]
    for kind, dtype in KINDS.items():
        path = replay_file(folder, kind, buffer)
        found = _shape(path, dtype, 1)[0]
        if found != count:
            raise _refusal(path, f"it has {found} steps, but {_name('observation', buffer)} has {count}")
        try:
            with gzip.open(path) as file:
                read[kind] = npy.read_array(file, allow_pickle=False)[:READABLE]
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise _refusal(path, f"it cannot be read to its end ({error})") from None
    steps = Steps(**read)
    if steps.action.min() < 0 or steps.action.max() >= action_dim:
        path = replay_file(folder, "action", buffer)
        problem = f"it holds action {steps.action.max()}, but this game has {action_dim}: another game's file"
        raise _refusal(path, problem)
    if not np.isfinite(steps.reward).all():
        raise _refusal(replay_file(folder, "reward", buffer), "it holds NaN or infinity")
    if steps.terminal.max() > 1:
        raise _refusal(replay_file(folder, "terminal", buffer), "it holds values other than 0 and 1")
    return steps


def _copy(folder: Path, buffer: int, steps: Steps, bounds: list[int], writer: FrameWriter) -> int:
    """Write the trajectories between `bounds`, without the blank steps before each; how many those were."""
    path, padding = replay_file(folder, "observation", buffer), 0
    _, *frame = _shape(path, np.uint8, 3)
    if frame != [writer.side, writer.side]:
        wanted = f"{writer.side} x {writer.side}"
        raise _refusal(path, f"its frames are {frame[0]} x {frame[1]}, and the task has {wanted}")
    try:
        with gzip.open(path) as file:
            _header(file)
            file.seek(bounds[0] * writer.side**2, os.SEEK_CUR)
            for begin, end in pairwise(bounds):
                content = file.read((end - begin) * writer.side**2)
                frames = np.frombuffer(content, np.uint8).reshape(end - begin, *frame)
                blank = _blank(frames, steps, begin, writer.stacked_frames - 1)
                padding += blank
                if blank < len(frames):
                    kept = slice(begin + blank, end)
                    writer.frames(frames[blank:])
                    writer.end(steps.action[kept], steps.reward[kept], True, frames[-1])
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise _refusal(path, f"it cannot be read as far as step {bounds[-1]} ({error})") from None
    return padding


def _blank(frames: Frames, steps: Steps, begin: int, most: int) -> int:
    """How many steps a trajectory that begins at step `begin` has before its first frame, `most` of them."""
    head = slice(begin, begin + min(most, len(frames)))
    empty = ~frames[:most].any(axis=(1, 2)) & (steps.action[head] == 0) & (steps.reward[head] == 0)
    return int(np.logical_and.accumulate(empty).sum())


def _shape(path: Path, dtype: type[np.generic], dimensions: int) -> tuple[int, ...]:
    """The shape of the array in a gzipped `.npy` file, once it is of the kind that it has to be and whole.

    Whole by its size: what a gzip file says of its content at its end has to be what the array takes.
    """
    try:
        with gzip.open(path) as file:
            shape, found, offset = _header(file)
        size = int.from_bytes(_end(path), "little")
    except FileNotFoundError:
        raise _refusal(path, "it is missing") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise _refusal(path, f"it is no gzipped .npy file ({error})") from None
    if found != dtype or len(shape) != dimensions or not shape[0]:
        wanted = f"{np.dtype(dtype)} of {dimensions} dimension{'s' if dimensions > 1 else ''}"
        raise _refusal(path, f"it holds {found} of shape {shape}, expected {wanted}")
    expected = offset + int(np.prod(shape, dtype=np.int64)) * found.itemsize
    if size != expected % 2 ** (8 * SIZE_BYTES):
        raise _refusal(path, f"it is cut off: its content should have {expected} bytes, its end says {size}")
    return shape


def _header(file: gzip.GzipFile) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape and type of a `.npy` file's array, and the byte at which the array begins."""
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, in_columns, dtype = read(file)
    if in_columns and len(shape) > 1:
        raise ValueError("its array is in Fortran's order")
    return shape, dtype, file.tell()


def _end(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-SIZE_BYTES, os.SEEK_END)
        return file.read()


def _name(kind: str, buffer: int) -> str:
    return replay_file(Path(), kind, buffer).name


def _refusal(path: Path, problem: str) -> DatasetError:
    return DatasetError(
        f"{path}: {problem}. Get this file of the DQN-replay data again, or give the folder of another run."
    )
