"""`bench settle` in a suite of its own, killed for real: it goes on with what was made."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import yaml

from .conftest import copy_suite

pytestmark = [pytest.mark.slow, pytest.mark.campaign]
BENCH = [sys.executable, "-m", "bench"]
SETTLE = [*BENCH, "settle", "--tier", "tiny"]
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


def seeds_in_cells(suite):
    """The seeds of which cells.csv has a share of the optimum, by method."""
    cells = pd.read_csv(suite.root / "results/tiny/cells.csv")
    shares = cells[(cells["metric"] == "optimum_share") & (cells["task"] == "darkroom")]
    return {method: set(rows["seed"]) for method, rows in shares.groupby("method")}


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
    stood = {path: path.stat().st_mtime_ns for path in (suite.root / "results/tiny/cells").rglob("*.json")}
    killed_after(suite, 5, with_its_job=False)
    suite.run(SETTLE)
    assert {path: path.stat().st_mtime_ns for path in stood} == stood, "what was made is not made again"
    (row,) = pd.read_csv(suite.root / "results/tiny/settled.csv").to_dict("records")
    assert (row["verdict"], row["seeds"]) == ("supported", 3)
    suite.run([*BENCH, "cells", "--tier", "tiny"])
    assert seeds_in_cells(suite) == {"ad-mamba": {0, 1, 2}, "ad-transformer": {0, 1, 2}}, "two in the budget"
    suite.run([*BENCH, "store", "--tier", "tiny", "--partial"])
    shutil.rmtree(suite.root / "results" / "tiny")
    suite.run(["env", "BENCH_SOURCE=stored", *BENCH, "cells", "--tier", "tiny"])
    assert seeds_in_cells(suite) == {"ad-mamba": {0, 1, 2}, "ad-transformer": {0, 1, 2}}, "of the store"
    shutil.rmtree(suite.root / "results" / "tiny")
    assert {f"{stage} ad-mamba/2" for stage in ("train", "evaluate")} <= suite.would_run("cells")
