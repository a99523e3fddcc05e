"""This tree against the committed store of the quick tier, by the command that a user runs.

Every count of the tier, and cells trained again: equal if processor and packages are the store's, else as the
store's seeds predict. `make check-all` trains all cells of `workflow/regress.yaml`, `make test` the cheapest.
"""

import re
import shutil
import sys

import pandas as pd
import pytest
from dag.conftest import ROOT, copy_suite

STORE = "results/stored/quick"


CHEAPEST = "  - {task: tmaze-passive-10, method: dt}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "cells", [CHEAPEST, pytest.param("", marks=pytest.mark.campaign)], ids=["one", "all"]
)
def test_the_quick_tier_raises_no_alarm(tmp_path, cells):
    suite = copy_suite(tmp_path / "suite", kept={})
    if cells:
        (suite.root / "workflow/regress.yaml").write_text(f"quick:\n{cells}")
    shutil.copytree(ROOT / STORE, suite.root / STORE)
    command = [sys.executable, "-m", "snakemake", "regress", "--cores", "1", "--config", "tier=quick"]
    said = suite.run(command, check=False)
    assert suite.exit_code == 0, said
    found = re.search(r"no alarm in the quick tier: (\d+) numbers asked to be equal", said)
    assert found
    stored = pd.read_csv(ROOT / STORE / "cells.csv")
    counts = stored["metric"].isin(["parameters", "macs"]).sum()
    assert int(found[1]) >= counts > 0
