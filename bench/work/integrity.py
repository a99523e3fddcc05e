"""What a file has to be: taken when it is written, checked when it is read.

A JSON file is sealed by a digest of its own text, which is its last key. A sidecar lists the files that were
left with it, each with its SHA-256 and what is in it. A folder of files that nothing lists has a file of
digests, in the form that `sha256sum --check` reads.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from pydantic import BaseModel, ConfigDict

from bench.files import sha256_of, write_atomically

KEY = "digest"


class Written(BaseModel):
    """A file as it was written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    # Of a table.
    rows: int | None = None
    columns: tuple[str, ...] = ()
    # Of arrays: name -> shape.
    shapes: dict[str, tuple[int, ...]] = {}

    @property
    def said(self) -> str:
        """What a message says of its content; empty for a file that is neither table nor arrays."""
        if self.rows is not None:
            return f"{self.rows} rows of {len(self.columns)} columns"
        return f"{len(self.shapes)} arrays" if self.shapes else ""


Files = dict[str, Written]


def describe(path: Path) -> Written:
    """A file as it stands: a `.csv` has rows and columns, a `.npz` shapes.

    Raises OSError where it cannot be read, ValueError where it is no such file.
    """
    digest = sha256_of(path)
    try:
        if path.suffix == ".csv":
            with path.open(newline="") as file:
                columns, *rows = list(csv.reader(file)) or [[]]
            return Written(sha256=digest, rows=len(rows), columns=tuple(columns))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return Written(sha256=digest, shapes={name: arrays[name].shape for name in arrays.files})
    except (BadZipFile, EOFError, csv.Error) as error:
        raise ValueError(f"{path}: not a whole {path.suffix} file ({error})") from error
    return Written(sha256=digest)


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, by name; what is hidden is still being written, and is left out."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]


def described(folder: Path, paths: Iterable[Path]) -> Files:
    """Each file by its name in the folder; raises as `describe` does."""
    return {path.relative_to(folder).as_posix(): describe(path) for path in paths}


def trouble_of(path: Path, promised: Written, promise: Path) -> str:
    """What is wrong with a file that `promise` lists: missing or changed; empty where nothing is."""
    if not path.is_file():
        return f"{path}: missing, although {promise} lists it"
    found = sha256_of(path)
    if found == promised.sha256:
        return ""
    counts = f" ({promised.said} were written)" if promised.said else ""
    return (
        f"{path}: damaged or edited: its sha256 is {found[:12]}..., but {promise} says "
        f"{promised.sha256[:12]}...{counts}"
    )


def first_trouble(folder: Path, files: Mapping[str, Written], promise: Path) -> str:
    """What is wrong with the first of a folder's files that is not as it was written; empty if none is."""
    troubles = (trouble_of(folder / name, written, promise) for name, written in files.items())
    return next(filter(None, troubles), "")


def sealed(content: Mapping[str, Any]) -> str:
    """The text of a JSON object with a digest of that text as its last key, in the place of any it had."""
    text = json.dumps({key: value for key, value in content.items() if key != KEY}, indent=1)
    return f'{text[:-2]},\n "{KEY}": "{_digest(text)}"\n}}\n'


def unsealed(path: Path) -> dict[str, Any]:
    """What a sealed file holds, its digest left out.

    Raises FileNotFoundError, and ValueError where a byte of the file is not as it was written.
    """
    text = path.read_bytes().decode()
    head, _, tail = text.rpartition(f',\n "{KEY}": "')
    body = f"{head}\n}}"
    if tail != f'{_digest(body)}"\n}}\n':
        raise ValueError("its text is not what its digest says")
    content: dict[str, Any] = json.loads(body)
    return content


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_digests(path: Path, files: Iterable[Path]) -> None:
    """Write a file of digests, in the form of `sha256sum`, of files below its folder."""
    lines = [f"{sha256_of(file)}  {file.relative_to(path.parent).as_posix()}\n" for file in files]
    write_atomically(path, "".join(lines))


def read_digests(path: Path) -> Files:
    """Name -> the file as it was written, of a file of digests.

    Raises FileNotFoundError, and ValueError for what is no such file.
    """
    found: Files = {}
    for number, line in enumerate(path.read_bytes().decode().splitlines(), start=1):
        digest, mark, name = line.partition("  ")
        if not mark or len(digest) != 64 or not name:
            raise ValueError(f"line {number} is no digest and name")
        if name in found:
            raise ValueError(f"line {number} names {name} again")
        found[name] = Written(sha256=digest)
    return found


def digests_trouble(path: Path, wanted: Iterable[Path]) -> str:
    """What is wrong with a file of digests, or with one of the `wanted` files, which it has to list."""
    try:
        files = read_digests(path)
    except FileNotFoundError:
        return f"{path}: missing, so nothing says whether the files beside it are whole"
    except ValueError as error:
        return f"{path}: not a file of digests ({error})"
    for file in wanted:
        name = file.relative_to(path.parent).as_posix()
        if name not in files:
            return f"{file}: {path} does not list it"
        if trouble := trouble_of(file, files[name], path):
            return trouble
    return ""
