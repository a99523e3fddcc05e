"""Where a suite's numbers come from: what a run made, or the committed store."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pandas as pd

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
        """Metrics, steps, indices and values of a job; empty if it did not end well."""

    def arrays(self, job: Filed) -> Path:
        """The file of what is too large for a job's table."""

    def taken(self, job: Filed) -> Record | None:
        """The store's record of a job if the job is read from there, else None."""

    def state(self, job: Filed) -> str:
        """`current`, `stored`, `stale` (made by other code, options or data), or `missing`."""

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
        return self.taken(job) or read_record(job.record)

    def rows(self, job: Filed) -> pd.DataFrame:
        """Metrics, steps, indices and values of a job; empty if it did not end well."""
        if self.taken(job):
            return self.store.rows(job)
        if not read_record(job.record).status.is_ok or not job.table.exists():
            return pd.DataFrame(columns=list(COLUMNS))
        return pd.read_csv(job.table, float_precision="round_trip")

    def arrays(self, job: Filed) -> Path:
        """The file of what is too large for a job's table."""
        return self.store.arrays(job) if self.taken(job) else job.arrays

    def state(self, job: Filed) -> str:
        """`current`, `stored`, `stale` (made by other code, options or data), or `missing`."""
        if self.taken(job):
            return "stored"
        if not job.table.exists() or not read_record(job.record).is_made:
            return "missing"
        return "current" if self._is_current(job) else "stale"

    def _is_current(self, job: Filed) -> bool:
        return job.table.exists() and read_record(job.record).fingerprint == job.fingerprint

    def files(self, tier: str) -> list[Path]:
        """The files that every number of a tier is read from: none, since each job has its own."""
        return []

    def digest(self, tier: str) -> str:
        """Hash of those files: empty."""
        return ""

    def refuse_store(self, why: str) -> None:
        """Nothing: this is a run."""
