"""This tree against the committed store of the quick tier, by the command that a user runs.

Every count of the tier, and the cells of `workflow/regress.yaml` trained anew: equal where processor and
packages are the store's, else as the store's seeds foretell.
"""

import re
import shutil
import sys

import pandas as pd
import pytest
from dag.conftest import ROOT, copy_suite

STORE = "results/stored/quick"


@pytest.mark.slow
def test_the_quick_tier_raises_no_alarm(tmp_path):
    suite = copy_suite(tmp_path / "suite")
    shutil.copytree(ROOT / STORE, suite.root / STORE)
    command = [sys.executable, "-m", "snakemake", "regress", "--cores", "1", "--config", "tier=quick"]
    said = suite.run(command, check=False)
    assert suite.exit_code == 0, said
    found = re.search(r"no alarm in the quick tier: (\d+) numbers asked to be equal", said)
    assert found
    stored = pd.read_csv(ROOT / STORE / "cells.csv")
    counts = stored["metric"].isin(["parameters", "macs"]).sum()
    assert int(found[1]) >= counts > 0
