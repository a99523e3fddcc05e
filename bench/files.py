"""Where the repository lies, how a path is shown, and how a file is written whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def shown(path: Path) -> str:
    """A path as a user types it: relative to the repository if it lies in it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes: 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Have the disk keep a file's bytes, or a folder's names, before anything rests on them.

    Without it a file that was moved into place may be empty after a loss of power.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """The bits that a new file's mode lacks; they cannot be read without being set."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; what was written is flushed and moved into place at the end.

    Whoever the umask lets may read it, whatever mode it was written with.
    Nothing is moved, and nothing stays, where writing raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays, since numpy and matplotlib go by it.
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        # Some libraries write for the user alone, which would shut out whoever else reads the run.
        temporary.chmod(0o666 & ~_umask())
        flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush(path.parent)


def write_atomically(path: Path, text: str) -> None:
    """Write beside the file, then move into its place."""
    with placed(path) as temporary:
        temporary.write_text(text)
