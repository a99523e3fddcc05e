"""Where a suite's numbers come from: what a run made, or the committed store."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pandas as pd

from bench.errors import UserError
from bench.work.integrity import Files, first_trouble
from bench.work.record import COLUMNS, Record, read_record
from bench.work.stored import Filed, Store


class Results(Protocol):
    """What is asked of either source. A `job` says where its files lie and by which name it is stored."""

    # What follows a tier's name in a heading, and the configuration that chooses this source.
    said: str
    config: str
    # Whether a job that is missing is run.
    makes: bool

    def record(self, job: Filed) -> Record:
        """The record of a job; one that is absent or damaged says so by its status."""

    def rows(self, job: Filed) -> pd.DataFrame:
        """Metrics, steps, indices and values of a job; empty if it did not end well.

        Raises UserError, naming file and remedy, where its file is not as it was written.
        """

    def arrays(self, job: Filed) -> Path:
        """The file of what is too large for a job's table; UserError where it is not as it was written."""

    def taken(self, job: Filed) -> Record | None:
        """The store's record of a job if the job is read from there, else None."""

    def state(self, job: Filed) -> str:
        """`current`, `stored`, `stale` (made by other code, options or data), `damaged` or `missing`."""

    def files(self, tier: str) -> list[Path]:
        """The files that every number of a tier is read from; none if each job has its own."""

    def digest(self, tier: str) -> str:
        """Hash of those files; empty without any."""

    def refuse_store(self, why: str) -> None:
        """Raise UserError, saying why, if numbers are read from the store alone: the command needs a run."""


class Run:
    """What a run made. A job of a tier that takes stored results may be read from the store instead.

    It is if the run has no current result of the job, and the store's was made under the same fingerprint.
    """

    said, config, makes = "", "", True

    def __init__(self, store: Store) -> None:
        self.store = store

    def taken(self, job: Filed) -> Record | None:
        """The store's record of a job if the job is read from there, else None."""
        stored = self.store.taken(job) if job.takes_stored else None
        if stored is None or stored.fingerprint != job.fingerprint or self._is_current(job):
            return None
        return stored

    def record(self, job: Filed) -> Record:
        """The record of a job; one that is absent or damaged says so by its status."""
        return self.taken(job) or read_record(job.record, job.key)

    def rows(self, job: Filed) -> pd.DataFrame:
        """Metrics, steps, indices and values of a job; empty if it did not end well.

        Raises UserError, naming file and remedy, where its table is not as it was written.
        """
        if self.taken(job):
            return self.store.rows(job)
        record = read_record(job.record, job.key)
        if not record.status.is_ok:
            return pd.DataFrame(columns=list(COLUMNS))
        return pd.read_csv(_checked(job, record, job.table), float_precision="round_trip")

    def arrays(self, job: Filed) -> Path:
        """The file of what is too large for a job's table; UserError where it is not as it was written."""
        if self.taken(job):
            return self.store.arrays(job)
        return _checked(job, read_record(job.record, job.key), job.arrays)

    def state(self, job: Filed) -> str:
        """`current`, `stored`, `stale` (made by other code, options or data), `damaged` or `missing`."""
        return "stored" if self.taken(job) else _own_state(job)

    def _is_current(self, job: Filed) -> bool:
        return _own_state(job) == "current"

    def files(self, tier: str) -> list[Path]:
        """The files that every number of a tier is read from: none, since each job has its own."""
        return []

    def digest(self, tier: str) -> str:
        """Hash of those files: empty."""
        return ""

    def refuse_store(self, why: str) -> None:
        """Nothing: this is a run."""


def _own_state(job: Filed) -> str:
    """`current`, `stale`, `damaged` or `missing`, by the files beside a job's record.

    The folder it keeps is left out: it may be large, and whatever reads from there checks what it reads.
    """
    record = read_record(job.record, job.key)
    if not record.is_made or not job.table.exists():
        return "missing"
    if record.fingerprint != job.fingerprint:
        return "stale"
    beside = {name: written for name, written in record.files.items() if "/" not in name}
    return "damaged" if _trouble(job, beside, job.table) else "current"


def _trouble(job: Filed, files: Files, wanted: Path) -> str:
    """What is wrong with one of a job's files, among which the wanted one has to be."""
    if wanted.name not in files:
        return f"{wanted}: key files of {job.record} does not list it"
    return first_trouble(job.record.parent, files, job.record)


def _checked(job: Filed, record: Record, path: Path) -> Path:
    """A file of a job that is as it was written; UserError, with the remedy, where it is not."""
    files = {name: written for name, written in record.files.items() if name == path.name}
    if trouble := _trouble(job, files, path):
        raise UserError(f"{trouble}. {job.remedy}")
    return path
