"""`bench settle` in a suite of its own, killed for real: what is made stays, and it ends as if nothing had been."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from .conftest import copy_suite

pytestmark = pytest.mark.slow
SETTLE = [sys.executable, "-m", "bench", "settle", "--tier", "tiny"]
# So far from every effect that three seeds decide it.
CLAIM = {
    "title": "One variant of AD is not hopelessly worse than the other",
    "section": "5.1",
    "says": "Made up for a test",
    "comparisons": [
        {"label": "share of the optimum", "tasks": ["darkroom"], "metric": "optimum_share", "expect": "more",
         "first": {"method": "ad-mamba"}, "second": {"method": "ad-transformer"}, "smallest": -50.0}
    ],
}  # fmt: skip


def killed_after(suite, records, with_its_job):
    """Start settling and kill it as soon as so many evaluations and trainings stand."""
    environment = os.environ | {"PYTHONPATH": str(suite.root)}
    path = suite.root / "results" / "tiny"
    with subprocess.Popen(SETTLE, cwd=suite.root, env=environment, start_new_session=True) as process:
        while len([*path.glob("cells/**/train.json"), *path.glob("cells/**/evaluate.json")]) < records:
            assert process.poll() is None
            time.sleep(0.05)
        if with_its_job:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def test_killed_twice_it_goes_on_with_what_was_made_and_cells_see_its_seeds(tmp_path):
    suite = copy_suite(tmp_path / "suite")
    for path in (suite.root / "workflow" / "claims").glob("*.yaml"):
        path.unlink()
    (suite.root / "workflow" / "claims" / "dmh_made_up.yaml").write_text(yaml.safe_dump(CLAIM))
    killed_after(suite, 2, with_its_job=True)
    stood = {
        path: path.stat().st_mtime_ns for path in Path(suite.root / "results/tiny/cells").rglob("*.json")
    }
    killed_after(suite, 5, with_its_job=False)
    suite.run(SETTLE)
    assert {path: path.stat().st_mtime_ns for path in stood} == stood, "what was made is not made again"
    (row,) = pd.read_csv(suite.root / "results/tiny/settled.csv").to_dict("records")
    assert (row["verdict"], row["seeds"]) == ("supported", 3)
    assert not list((suite.root / "results" / "tiny").rglob("*.taken"))
    suite.run([sys.executable, "-m", "bench", "cells", "--tier", "tiny"])
    cells = pd.read_csv(suite.root / "results/tiny/cells.csv")
    for method in ("ad-mamba", "ad-transformer"):
        shares = cells[(cells["method"] == method) & (cells["metric"] == "optimum_share")]
        assert set(shares["seed"]) == {0, 1, 2}, "the budget gives two"
