"""Real data: the rows of `workflow/datasets.csv`, and where the files of a run lie.

A run is given real data by one value, the environment variable BENCH_DATA (Snakemake's config key `data` sets
it): a folder with D4RL's HDF5 files and the DQN-replay data's folders, or the word `minari` for the store of
the minari package. Without it every task uses the data that the suite makes itself.
"""

from __future__ import annotations

import csv
import hashlib
import os
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError

from bench.catalogue.models import Reader
from bench.catalogue.strict import Name, Strict
from bench.errors import SpecError
from bench.files import sha256_of

VARIABLE = "BENCH_DATA"
MINARI = "minari"
MINARI_VARIABLE = "MINARI_DATASETS_PATH"  # the minari package's own
# What a row that rests on a reader's data says of it.
DATA_SOURCES: dict[Reader, str] = {"d4rl": "real", "minari-sets": "minari", "dqn-replay": "real"}
# What reads a folder that a run was given: each in the families that name it.
FOLDER_READERS: tuple[Reader, ...] = ("d4rl", "dqn-replay")
# The options of a reader that draws from its files; the others read them whole.
DRAWN_BY: dict[Reader, tuple[str, ...]] = {"dqn-replay": ("transitions", "buffers")}
# The DQN-replay data of a game are a folder, in which four files hold a buffer.
BUCKET = "gs://atari-replay-datasets/dqn/"
REPLAY_KINDS = ("observation", "action", "reward", "terminal")
REPLAY_REMEDY = (
    f"It cannot be downloaded: {BUCKET} has answered 403 to anonymous readers since 2025. Copy it from "
    "whoever has it, in the layout of that bucket: the files "
    "$store$_{observation,action,reward,terminal}_ckpt.N.gz, N from 0 to 49, in that folder."
)


class DatasetRow(Strict):
    """A row of `workflow/datasets.csv`: where a dataset is to be had, and what is known of it.

    Counts and returns are those of finished episodes: an unfinished one at a file's end is left out of them.
    """

    id: Name
    source: str = Field(min_length=1)
    mirrors: str = ""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    bytes: int | None = None
    licence: str = ""
    transitions: int | None = None
    trajectories: int | None = None
    lowest_return: float | None = None
    mean_return: float | None = None
    highest_return: float | None = None
    note: str = ""

    @property
    def minari_id(self) -> str:
        """The dataset's name in Minari's store; empty for one that is not Minari's."""
        return self.source.removeprefix("minari:") if self.source.startswith("minari:") else ""

    @property
    def file(self) -> str:
        """Its data file or folder, relative to the folder that holds it."""
        if self.is_folder:
            return self.source.removeprefix(BUCKET)
        return f"{self.minari_id}/data/main_data.hdf5" if self.minari_id else self.source.rsplit("/", 1)[-1]

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of the DQN-replay data, and not a single file."""
        return self.source.startswith(BUCKET)

    @property
    def addresses(self) -> list[str]:
        """Where the file can be downloaded: the source, then the mirrors."""
        return [self.source, *self.mirrors.split()]


def read_rows(path: Path) -> dict[str, DatasetRow]:
    """The rows of a file by their id; SpecError, naming line and key, at the first that does not fit."""
    rows: dict[str, DatasetRow] = {}
    with path.open(newline="") as file:
        for number, cells in enumerate(csv.DictReader(file), start=2):
            where = f"workflow/datasets.csv: row {number} ({cells['id']})"
            try:
                row = DatasetRow.model_validate({key: text for key, text in cells.items() if text})
            except ValidationError as error:
                first = error.errors()[0]
                key = ".".join(map(str, first["loc"]))
                raise SpecError(f"{where}: key {key}: {first['msg']}. Correct the row.") from None
            if row.id in rows:
                raise SpecError(f"{where}: key id: declared twice. Rename or remove one of the rows.")
            rows[row.id] = row
    return rows


@dataclass(frozen=True)
class Given:
    """The real data a run was given: what reads it, and the folder it lies in."""

    reader: Reader
    folder: Path
    # The data as the run was given it.
    named: str

    @property
    def assignment(self) -> str:
        """`BENCH_DATA=... ` to stand before a command that is to run on this data."""
        return f"{VARIABLE}={shlex.quote(self.named)} "


def given_data(value: str) -> Given | None:
    """The data that a run was given; None where that is empty. SpecError where there is no such folder."""
    if not value:
        return None
    if value == MINARI:
        root = os.environ.get(MINARI_VARIABLE, "")
        return Given("minari-sets", Path(root) if root else Path.home() / ".minari" / "datasets", value)
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise SpecError(
            f"config key data (environment variable {VARIABLE}): there is no folder {value}. Name the folder "
            f"that holds D4RL's HDF5 files or the DQN-replay data, or {MINARI!r} for Minari's store, or "
            "leave it out: the suite then makes stand-ins."
        )
    return Given("d4rl", folder, value)


@cache
def _sha256(path: Path, size: int, modified: int) -> str:
    return sha256_of(path)


def file_sha256(path: Path) -> str:
    """The sha256 of a file, computed once a process while size and time of the file stay."""
    state = path.stat()
    return _sha256(path, state.st_size, state.st_mtime_ns)


def replay_file(folder: Path, kind: str, buffer: int) -> Path:
    """The file of a kind (`REPLAY_KINDS`) of a buffer of the DQN-replay data."""
    return folder / f"$store$_{kind}_ckpt.{buffer}.gz"


@cache
def _gzip_end(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        file.seek(-min(8, size), os.SEEK_END)
        return file.read().hex()


def replay_digest(folder: Path) -> str:
    """A digest of the DQN-replay data in a folder: of its files' names, sizes and last eight bytes.

    A gzip file ends with the checksum and the size of its content, so that the tens of gigabytes of a game
    need not be read to tell them from others.
    """
    lines = []
    for path in sorted(path for kind in REPLAY_KINDS for path in folder.glob(f"$store$_{kind}_ckpt.*.gz")):
        state = path.stat()
        lines.append(f"{path.name} {state.st_size} {_gzip_end(path, state.st_size, state.st_mtime_ns)}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()
