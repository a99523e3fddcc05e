"""Copies of the repository, with a fault or without, and the jobs that are made in them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bench.errors import UserError
from bench.files import ROOT, write_atomically
from bench.work.jobs import Job
from bench.work.record import Record, read_record
from bench.work.rerun import Checkout
from bench.work.stored import Key

TIER_FILE = ROOT / "benchmarks" / "mutations_tier.yaml"
# The tier of that file, which only the copies know.
TIER = "mutations"
# What a job reads of the repository: its code, what is declared, and what the papers print.
ROOMS = ("bench/", "workflow/", "results/reported/")


class BrokenError(Exception):
    """The code of a copy did not give a job's number: `why` says how it ended."""

    def __init__(self, job: Job, why: str) -> None:
        super().__init__(f"{job.stage} of {job.cell.key}: {why}")


class Copy(Checkout):
    """A copy of the repository, with the tier of the mutations beside its own, and the jobs made in it.

    Of a copy with a fault, `unchanged` is the one without: what it makes under the same fingerprint is taken
    from there. Attributes: `core_seconds`, what the jobs took that were run here.
    """

    def __init__(self, root: Path, unchanged: Copy | None = None) -> None:
        super().__init__(root, root, lambda job: job.command)
        self.unchanged, self.core_seconds = unchanged, 0.0
        self.known: dict[Key, str] = {}

    def fill(self) -> None:
        """Lay out the code: of the working tree, or of the unchanged copy; what was made before stays."""
        for room in ROOMS:
            shutil.rmtree(self.root / room, ignore_errors=True)
        for name in _files_of_the_repository():
            if name.startswith(ROOMS) and (ROOT / name).is_file():
                # Those of a faulty copy are the unchanged copy's, whoever edits the working tree meanwhile.
                if self.unchanged:
                    _link(self.unchanged.root / name, self.root / name)
                else:
                    (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, self.root / name)
        write_atomically(self.root / "workflow" / "tiers" / f"{TIER}.yaml", TIER_FILE.read_text())

    def ask_fingerprints(self) -> None:
        """Learn the fingerprint that this code gives each job; UserError where the code cannot be loaded."""
        self.known = self.fingerprints(TIER)

    def is_changed(self, job: Job) -> bool:
        """Whether the fault is in what a job's number depends on."""
        return self.unchanged is None or self.known[job.key] != self.unchanged.known[job.key]

    def record(self, job: Job) -> Record:
        """The record of a job in this copy."""
        return read_record(self.root / job.record)

    def make(self, job: Job) -> Path:
        """The folder of a job's files, made here with what it reads; BrokenError where it gives no number."""
        folder = self.root / job.folder
        if self.record(job).fingerprint == self.known[job.key]:
            return self._checked(job, folder)
        for before in job.upstream:
            self.make(before)
        if self.unchanged and not self.is_changed(job):
            _take(self.unchanged.make(job), folder)
            return folder
        try:
            self.run(self.command_of(job))
        except UserError as error:
            raise BrokenError(job, str(error)) from None
        record = self.record(job)
        self.core_seconds += (record.cpu_seconds or 0.0) + (record.start_cpu_seconds or 0.0)
        return self._checked(job, folder)

    def _checked(self, job: Job, folder: Path) -> Path:
        status = self.record(job).status
        if not status.is_ok:
            raise BrokenError(job, str(status))
        return folder


def _files_of_the_repository() -> list[str]:
    """Files that git has, or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    return listed.stdout.splitlines()


def _link(source: Path, place: Path) -> None:
    """The same file at another place; a copy where the file system has no links. Files are only replaced."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    try:
        os.link(source, place)
    except OSError:
        shutil.copy2(source, place)


def _take(made: Path, folder: Path) -> None:
    """Take the files of a job's folder that are not here yet."""
    for path in made.rglob("*"):
        place = folder / path.relative_to(made)
        if path.is_file() and not place.exists():
            _link(path, place)
