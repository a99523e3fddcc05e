"""A job made again in a folder of its own, by the code at hand or by that of an earlier commit."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.errors import UserError
from bench.files import ROOT
from bench.work.jobs import Job
from bench.work.record import Key, read_record
from bench.work.stored import VARIABLE


class Checkout:
    """Code at `root`, whose commands are run in `folder`, where their results then lie."""

    def __init__(self, root: Path, folder: Path, command_of: Callable[[Job], str]) -> None:
        self.root, self.folder, self.command_of = root, folder, command_of
        self._made: set[Job] = set()

    def run(self, command: str) -> str:
        """What a command prints; UserError, with the end of what it said, if it fails."""
        environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
        done = subprocess.run(
            command.replace("python ", f"{shlex.quote(sys.executable)} ", 1),
            shell=True,
            cwd=self.folder,
            env=environment | {"PYTHONPATH": str(self.root)},
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise UserError(f"`{command}` failed in {self.folder}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def make(self, job: Job) -> Path:
        """The folder of a job's files, made here with everything it reads; each job is made once."""
        if job not in self._made:
            for before in job.upstream:
                self.make(before)
            self.run(self.command_of(job))
            self._made.add(job)
            status = read_record(self.folder / job.record, job.key).status
            if not status.is_ok:
                raise UserError(f"`{self.command_of(job)}` ended with status {status}.")
        return self.folder / job.folder

    def fingerprints(self, tier: str) -> dict[Key, str]:
        """The fingerprint that this code gives each job of a tier."""
        lines = self.run(f"python -m bench fingerprints --tier {tier}").splitlines()
        return {tuple(key): fingerprint for key, fingerprint in map(json.loads, lines)}


def stored_command(job: Job) -> str:
    """The command that a job's stored record names; UserError if it has none."""
    if job.stored is None:
        raise UserError(
            f"{job.stage} of {job.cell.key} seed {job.seed}: not in the store, so it has no command."
        )
    return job.stored.command


@contextmanager
def code_at_hand() -> Iterator[Checkout]:
    """The code as it lies in the working tree, on an empty folder."""
    with TemporaryDirectory(prefix="bench-now-") as folder:
        yield Checkout(ROOT, Path(folder), lambda job: job.command)


@contextmanager
def code_of(revision: str) -> Iterator[Checkout]:
    """The code of an earlier commit, on an empty folder; UserError, naming it, if git does not have it."""
    with TemporaryDirectory(prefix="bench-then-") as folder:
        root = Path(folder) / "code"
        added = subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", str(root), revision],
            cwd=ROOT,
            text=True,
            capture_output=True,
            check=False,
        )
        if added.returncode:
            raise UserError(f"--since {revision}: {added.stderr.strip()} Name a commit of this repository.")
        try:
            yield Checkout(root, root, stored_command)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(root)], cwd=ROOT, check=True)
