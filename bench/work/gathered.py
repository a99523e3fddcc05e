"""What is said of a run as a whole: files of no job, with their digests beside the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.errors import UserError
from bench.work.integrity import digests_trouble, write_digests
from bench.work.jobs import RESULTS

# The files of each command that gathers all jobs of a tier, by the name of the first.
NAMES = {
    "cells.csv": ("cells.csv",),
    "health.txt": ("health.txt",),
    "claims.csv": ("claims.csv", "claims_units.csv", "claims.md"),
}
AUDIT = (RESULTS / "audit" / "audit.csv", RESULTS / "audit" / "audit.md")


def files_of(tier: str, first: str) -> list[Path]:
    """The files of a tier that one command writes together, by the name of the first."""
    return [RESULTS / tier / name for name in NAMES[first]]


def seal(files: Sequence[Path]) -> None:
    """Write the digests of files that one command has written, once all of them are."""
    write_digests(_digests_of(files[0]), files)


def trouble_of(files: Sequence[Path]) -> str:
    """What is wrong with one of some files that were sealed together; empty where nothing is."""
    return digests_trouble(_digests_of(files[0]), files)


def checked(files: Sequence[Path], remedy: str) -> Path:
    """The first of some files, all as they were written; UserError, with the remedy, where one is not."""
    if trouble := trouble_of(files):
        raise UserError(f"{trouble}. {remedy}")
    return files[0]


def _digests_of(first: Path) -> Path:
    return first.with_suffix(".sha256")
