"""Checksums of dataset files, taken when they are made and checked whenever they are read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from bench.errors import DatasetError


def checksums(folder: Path) -> dict[str, str]:
    """Relative path -> sha256 of every file below the folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def verified(record: Path) -> Path:
    """The data folder beside a dataset's sidecar, once every file in it was checked.

    Raises DatasetError, naming the file, the key and the remedy, for one that is absent or changed.
    """
    folder = record.parent / "data"
    remedy = f"Delete {record.parent} and run again: the dataset is then made anew."
    try:
        promised: dict[str, str] = json.loads(record.read_text())["facts"]["sha256"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        raise DatasetError(
            f"{record}: key facts.sha256 cannot be read, so the data cannot be checked. {remedy}"
        ) from None
    for name, digest in promised.items():
        path = folder / name
        if not path.is_file():
            raise DatasetError(f"{path}: missing, although key facts.sha256 of {record} lists it. {remedy}")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != digest:
            raise DatasetError(
                f"{path}: damaged or edited: sha256 is {found[:12]}..., but key facts.sha256 of "
                f"{record} says {digest[:12]}.... {remedy}"
            )
    return folder
