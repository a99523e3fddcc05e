"""A job taken by one process, so that several machines on one file system never run it twice at a time.

A file beside the job's results names host and processes. It is made whole or not at all, touched while the
job runs, and removed at the end. One that a killed process left is taken over: at once on the same host, and
elsewhere once it has not been touched for some time by the file system's own clock. Beside a finished job it
says nothing.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from bench.work.jobs import Job

BEAT_SECONDS = 20.0
# So many beats may be late on a busy machine before others take its job.
STALE_SECONDS = 10 * BEAT_SECONDS


class Taken:
    """A job that this process has taken: hold it with `with` while the job runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def note(self, process: int) -> None:
        """Say that a process runs the job as well: it may outlive this one, and holds the job as long."""
        beside = _written(self.path, [os.getpid(), process])
        beside.replace(self.path)

    def __enter__(self) -> Taken:
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._heart.join()
        self.path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            if self.path.exists():
                os.utime(self.path)


def take(job: Job) -> Taken | None:
    """The job, for this process alone; None while another has it."""
    path = job.folder / f".{job.stage}.taken"
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _written(path, [os.getpid()])
    try:
        if _link(beside, path):
            return Taken(path)
        if _is_left(path, beside) and _remove_left(path, beside) and _link(beside, path):
            return Taken(path)
        return None
    finally:
        beside.unlink(missing_ok=True)


def _written(path: Path, processes: list[int]) -> Path:
    beside = path.with_name(f"{path.name}.{uuid4().hex}")
    beside.write_text(json.dumps({"host": socket.gethostname(), "processes": processes}))
    return beside


def _link(beside: Path, path: Path) -> bool:
    """Whether the file now stands under its name; that fails where there is one, on network drives too."""
    try:
        os.link(beside, path)
    except FileExistsError:
        return False
    return True


def _is_left(path: Path, beside: Path) -> bool:
    """Whether whoever took the job is gone. `beside` was just written: its time is now."""
    try:
        held, age = json.loads(path.read_text()), beside.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return True
    if held["host"] == socket.gethostname():
        return not any(_is_alive(process) for process in held["processes"])
    return age > STALE_SECONDS


def _remove_left(path: Path, beside: Path) -> bool:
    """Move a file that was left out of the way; False where another machine has done so and taken the job."""
    aside = beside.with_name(f"{beside.name}.left")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return True
    if _is_left(aside, beside):
        aside.unlink()
        return True
    # It was another machine's, made since: give it back.
    _link(aside, path)
    aside.unlink()
    return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Whether it has ended and only waits for its parent to notice (Linux)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
