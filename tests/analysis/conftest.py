"""Records of cells that were never run, written as a stage would write them."""

import pandas as pd
import pytest
import records

from bench.work.record import COLUMNS


@pytest.fixture
def write_record(tmp_path, monkeypatch):
    """Writes the record of a job, rows being (metric, step, index, value), below a folder of its own.

    It was run with these options, or those that the job has.
    """
    monkeypatch.chdir(tmp_path)

    def write(job, rows, status="ok", options=None):
        job.folder.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(job.table, index=False)
        sidecar = {"seconds": 2.0, "peak_memory_mib": 5.0, "parts": {"options": options or job.options}}
        records.write_record(job, status=status, fingerprint=f"print-{job.seed}", **sidecar)

    return write
