"""Records of cells that were never run, written as a stage would write them."""

import json

import pandas as pd
import pytest

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
        sidecar = {
            "status": status,
            "fingerprint": f"print-{job.seed}",
            "seconds": 2.0,
            "peak_memory_mib": 5.0,
            "parts": {"options": options or job.options},
        }
        job.record.write_text(json.dumps(sidecar))

    return write
