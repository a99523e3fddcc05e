"""A paper in a folder of a lab's own, outside of the suite: the example, run for real at a tiny size."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from dag.conftest import ROOT, Suite, copy_suite

pytestmark = pytest.mark.slow
CELL = "results/tiny/cells/hopper-medium/ota/default/seed-0"
# One word more than the suite's own tiny tier: the same dataset, and a model as small.
TIER = """
budgets:
  - label: hopper, the third paper's method
    tasks: [hopper-medium]
    methods: [ota]
    stages: [train, evaluate]
    options: {transitions: 2000, embedding_dim: 16, layers: 1, batch_size: 4, updates: 4, checkpoints: 1,
      evaluation_episodes: 2, context_length: 5, max_timestep: 1000, return_scale: 10.0}
    core_seconds: {train: 1, evaluate: 1}
  - label: its size, beside DT's
    tasks: [hopper-medium]
    methods: [dt, ota]
    stages: [probe]
    options: {embedding_dim: 16, layers: 1, context_length: 5, probe_batch_size: 2, probe_repeats: 3}
    core_seconds: {probe: 1}
"""


def copied_example(folder: Path) -> Path:
    """The example as a lab has it, with a budget for the tiny tier."""
    shutil.copytree(ROOT / "examples" / "third_paper", folder)
    (folder / "tiers" / "quick.yaml").rename(folder / "tiers" / "tiny.yaml")
    (folder / "tiers" / "tiny.yaml").write_text(TIER)
    return folder


def snakemake(suite: Suite, papers: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", *arguments, "--config", "tier=tiny", f"papers={papers}"]
    return suite.run(command, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Suite, Path]:
    """A suite in which tables, figures, claims and report were made with the third paper, and its folder."""
    suite = copy_suite(tmp_path_factory.mktemp("suite"))
    # The suite's own papers take minutes. One figure of theirs stays, to stand beside the third's.
    shutil.rmtree(suite.root / "results" / "reported")
    shutil.rmtree(suite.root / "workflow" / "claims")
    for path in (suite.root / "workflow" / "papers").glob("*/*.yaml"):
        if path.parent.name != "extra":
            shutil.rmtree(path.parent, ignore_errors=True)
        elif path.stem not in ("paper", "fig01"):
            path.unlink()
    papers = copied_example(tmp_path_factory.mktemp("lab") / "papers of ours")
    said = snakemake(suite, papers, "tables", "figures", "claims", "report", "--cores", "2")
    assert suite.exit_code == 0, said
    return suite, papers


def test_its_table_shows_what_is_printed_beside_ours(run: tuple[Suite, Path]) -> None:
    page = (run[0].root / "results/tiny/tables/ota_table01.md").read_text()
    assert page.splitlines()[0].endswith("Decision Mamba Table 1: Decision Mamba and DT on Hopper medium")
    assert "83.5" in page
    table = pd.read_csv(run[0].root / "results/tiny/tables/ota_table01.csv").set_index("method")
    assert table["status"].to_dict() == {"dt": "ok", "ota": "ok"}


def test_its_figure_is_drawn_beside_the_suites_own(run: tuple[Suite, Path]) -> None:
    figures = {path.stem for path in (run[0].root / "figures/tiny").glob("*.png")}
    assert figures == {"ota_fig09", "extra_fig01"}


def test_its_claim_is_tested(run: tuple[Suite, Path]) -> None:
    claims = pd.read_csv(run[0].root / "results/tiny/claims.csv")
    assert claims[["claim", "claim_verdict"]].to_numpy().tolist() == [["ota_size", "supported"]]


def test_its_page_stands_in_the_report_before_what_goes_beyond_the_papers(run: tuple[Suite, Path]) -> None:
    report = run[0].root / "results/tiny/report"
    assert "Decision Mamba: every number" in (report / "ota.html").read_text()
    index = (report / "index.html").read_text()
    assert "Decision Mamba (arXiv 2403.19925)" in index
    assert index.index('href="ota.html"') < index.index('href="extra.html"')


def test_a_records_command_names_the_folder_and_makes_the_same_bytes_again(run: tuple[Suite, Path]) -> None:
    suite, papers = run
    record = json.loads((suite.root / CELL / "evaluate.json").read_text())
    assert record["status"] == "ok"
    assert record["command"].startswith(f"BENCH_PAPERS='{papers}' python -m bench evaluate ")
    before = (suite.root / CELL / "evaluate.csv").read_bytes()
    suite.run(["bash", "-c", record["command"]])
    assert (suite.root / CELL / "evaluate.csv").read_bytes() == before


def test_an_edit_of_its_code_runs_its_cells_again_and_no_other(
    run: tuple[Suite, Path], tmp_path: Path
) -> None:
    suite, papers = run
    edited = tmp_path / "moved"
    shutil.copytree(papers, edited)
    target = "results/tiny/tables/ota_table01.json"
    assert "rule train" not in snakemake(suite, edited, target, "--dry-run"), "only the folder moved"
    code = edited / "methods" / "ota.py"
    text, layer = code.read_text(), 'feed_forward=options["activation"]'
    assert layer in text
    code.write_text(text.replace(layer, "feed_forward=None"))
    said = snakemake(suite, edited, target, "--dry-run")
    assert "method=ota" in said
    assert "method=dt" not in said


def test_a_folder_that_is_misspelt_stops_the_plan_by_name(run: tuple[Suite, Path], tmp_path: Path) -> None:
    suite, papers = run
    shutil.copytree(papers, tmp_path / "lab")
    (tmp_path / "lab" / "papers").rename(tmp_path / "lab" / "paper")
    said = snakemake(suite, tmp_path / "lab", "plan", "--dry-run")
    assert suite.exit_code != 0
    assert "Traceback" not in said
    assert "config key papers (environment variable BENCH_PAPERS)" in said
    assert "unknown folder 'paper'. Did you mean 'papers'" in said
