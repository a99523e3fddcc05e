"""A stage is a module and a row: the example of docs/extending.md, as it stands there, through Snakemake."""

import json
import re

import pandas as pd
import pytest

from tests.dag.conftest import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def extended(suite):
    """A finished suite with the example's stage, metric and table."""
    page = (ROOT / "docs/extending.md").read_text()
    section = page.partition("\n## A stage\n")[2].partition("\n## ")[0]
    module, row, metric, artifact = re.findall(r"^```\w+\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    (suite.root / "bench/stages/weigh.py").write_text(module)
    suite.edit("bench/catalogue/stages.py", "ROWS = (\n", f"ROWS = (\n{row}")
    with (suite.root / "workflow/metrics.yaml").open("a") as metrics:
        metrics.write(metric)
    (suite.root / "workflow/papers/dema/table22.yaml").write_text(artifact)
    tier = (suite.root / "workflow/tiers/tiny.yaml").read_text()
    before, _, budget = tier.partition("  - label: hopper\n")
    budget = budget.replace("evaluate]", "evaluate, weigh]").replace("evaluate: 1}", "evaluate: 1, weigh: 1}")
    (suite.root / "workflow/tiers/tiny.yaml").write_text(f"{before}  - label: hopper\n{budget}")
    return suite


def test_the_example_of_a_stage_runs_on_the_trainings_that_are_there(extended):
    assert extended.would_run("dema_table22") == {"weigh dt/0", "table dema_table22"}
    extended.snakemake("dema_table22", "--cores", "1")
    record = extended.root / "results/tiny/cells/hopper-medium/dt/default/seed-0/weigh.json"
    assert json.loads(record.read_text())["status"] == "ok"
    assert record.with_suffix(".log").read_text().startswith("weigh hopper-medium/dt/default seed 0: ok")
    (shown,) = pd.read_csv(extended.root / "results/tiny/tables/dema_table22.csv")["mean"]
    assert 0 < shown < 1
    assert extended.would_run("dema_table22") == set()
