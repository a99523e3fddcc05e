"""How a tier's store is written: whole beside the one that is there, then in its place.

What is killed on the way leaves the store as it was, or no store where there was none.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UserError
from bench.files import flush
from bench.work.integrity import digests_trouble, read_digests
from bench.work.stored import DIGESTS, restoring_all, seal_store


@contextmanager
def renewed(folder: Path) -> Iterator[Path]:
    """A copy of a tier's store, or an empty folder, to write to; at the end it is sealed and takes its place.

    Nothing changes where writing raises. What a promotion that was killed has left is cleared away first.
    Raises UserError, before the copy is lent, where a file that the store lists is missing or damaged: the
    digests that are taken at the end would vouch for it.
    """
    new, old = (folder.with_name(f".{folder.name}.{word}") for word in ("new", "old"))
    if old.exists() and not folder.exists():
        old.rename(folder)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        if folder.exists():
            _check_all(folder)
            shutil.copytree(folder, new)
        else:
            new.mkdir(parents=True)
        yield new
        seal_store(new)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    flush(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _check_all(folder: Path) -> None:
    digests = folder / DIGESTS
    trouble = digests_trouble(digests, [])
    trouble = trouble or digests_trouble(digests, [folder / name for name in read_digests(digests)])
    if trouble:
        raise UserError(f"{trouble}. {restoring_all(folder)}")
