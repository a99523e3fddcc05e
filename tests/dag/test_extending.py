"""The examples of docs/extending.md, as they stand there, through Snakemake: a method, a task, a metric."""

import re

import pandas as pd
import pytest

from tests.dag.conftest import ROOT

pytestmark = pytest.mark.slow


def blocks(section):
    """The code blocks of a section of the page that have a language."""
    page = (ROOT / "docs/extending.md").read_text()
    text = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```\w+\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_a_task_is_one_line(suite):
    line, artifact = blocks("A task")
    assert len(line.splitlines()) == 1
    with (suite.root / "workflow/tasks/gridworld.yaml").open("a") as tasks:
        tasks.write(line)
    (suite.root / "workflow/papers/dmh/fig07.yaml").write_text(artifact)
    suite.edit("workflow/tiers/tiny.yaml", "tasks: [darkroom]", "tasks: [darkroom, darkroom-corner]")
    jobs = {
        "dataset darkroom-corner",
        *(f"{stage} ad-mamba/{seed}" for stage in ("train", "evaluate") for seed in "01"),
    }
    assert suite.would_run("dmh_fig07") == jobs | {"figure dmh_fig07"}
    suite.snakemake("dmh_fig07", "--cores", "1")
    drawn = pd.read_csv(suite.root / "figures/tiny/dmh_fig07.csv")
    assert set(drawn["task"]) == {"darkroom", "darkroom-corner"}
    assert set(drawn["status"]) == {"ok"}


def test_a_method_is_a_module_and_a_file_and_a_metric_is_one_line(suite):
    method, module, *_ = blocks("A method")
    (suite.root / "workflow/methods/linear-bc.yaml").write_text(method)
    (suite.root / "bench/methods/linear_bc.py").write_text(module)
    line, artifact = blocks("A metric")
    assert len(line.splitlines()) == 1
    with (suite.root / "workflow/metrics.yaml").open("a") as metrics:
        metrics.write(line)
    (suite.root / "workflow/papers/dema/table21.yaml").write_text(artifact)
    tier = suite.root / "workflow/tiers/tiny.yaml"
    tier.write_text(
        tier.read_text()
        + """
  - label: linear
    tasks: [hopper-medium]
    methods: [linear-bc]
    stages: [train, evaluate]
    options: {transitions: 2000, return_scale: 10, batch_size: 4, updates: 4, checkpoints: 1,
      evaluation_episodes: 2}
    core_seconds: {train: 1, evaluate: 1}
"""
    )
    assert suite.would_run("dema_table21") == {
        "train linear-bc/0",
        "evaluate linear-bc/0",
        "table dema_table21",
    }
    suite.snakemake("dema_table21", "--cores", "1")
    shown = pd.read_csv(suite.root / "results/tiny/tables/dema_table21.csv")
    assert set(shown["metric"]) == {"return", "episode_length"}
    assert shown["ours"].notna().all()
    assert (shown.loc[shown["metric"] == "episode_length", "ours"] > 0).all()
