"""The real DAG, end to end, at a tiny size."""

import json

import pandas as pd
import pytest

pytestmark = pytest.mark.slow
CELL = "results/tiny/cells/darkroom/ad-mamba/default/seed-0"


def test_every_artifact_renders(finished):
    written = (finished.root / "workflow/papers").glob("*/*.yaml")
    names = {
        f"{path.parent.name}_{path.stem}"
        for path in written
        if path.name not in ("paper.yaml", "readings.yaml")
    }
    tables = {path.stem for path in (finished.root / "results/tiny/tables").glob("*.md")}
    figures = {path.stem for path in (finished.root / "figures/tiny").glob("*.png")}
    assert tables | figures == names


def test_every_record_lies_between_its_table_and_its_log(finished):
    tier = finished.root / "results/tiny"
    records = [*tier.glob("cells/*/*/*/*/*.json"), *tier.glob("datasets/*/*/*.json")]
    assert {record.stem for record in records} == {"dataset", "train", "evaluate", "probe"}
    for record in records:
        assert record.with_suffix(".csv").exists()
        assert record.with_suffix(".log").exists()


def test_cells_csv_holds_every_number_with_what_qualifies_it(finished):
    cells = pd.read_csv(finished.root / "results/tiny/cells.csv")
    assert set(cells["status"]) == {"ok"}
    assert set(cells["budget"]) == {"reduced"}
    assert cells["fingerprint"].str.fullmatch(r"[0-9a-f]{16}").all()
    assert {"episode_return", "parameters", "macs", "training_loss"} <= set(cells["metric"])


def test_the_sidecars_command_makes_the_same_bytes_again(suite):
    folder = suite.root / CELL
    before = {name: (folder / name).read_bytes() for name in ("train.csv", "evaluate.csv")}
    for stage in ("train", "evaluate"):
        record = json.loads((folder / f"{stage}.json").read_text())
        if stage == "train":
            for path in (folder / "checkpoints").iterdir():
                path.unlink()
        suite.run(["bash", "-c", record["command"]])
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_a_run_taken_up_from_a_checkpoint_ends_with_the_same_bytes(suite):
    folder = suite.root / CELL
    before = (folder / "train.csv").read_bytes()
    last = sorted((folder / "checkpoints").iterdir())[-1]
    last.unlink()
    command = json.loads((folder / "train.json").read_text())["command"]
    said = suite.run(["bash", "-c", command])
    assert "resumed after 3 updates" in said
    assert (folder / "train.csv").read_bytes() == before


def test_a_broken_cell_leaves_every_table_and_makes_the_run_fail_by_name(suite):
    suite.edit(
        "bench/methods/ad_mamba.py",
        "super().__init__(options, mamba",
        "raise KeyError('broken')\n        super().__init__(options, mamba",
    )
    said = suite.snakemake("all", "--cores", "2", check=False)
    assert suite.exit_code != 0
    assert "darkroom/ad-mamba/default" in said
    figure = pd.read_csv(suite.root / "figures/tiny/dmh_fig02.csv")
    status = figure.groupby("method")["status"].first()
    assert status["ad-transformer"] == "ok"
    assert status["ad-mamba"].startswith("skipped: its training is failed: KeyError")


def test_a_record_that_is_gone_is_made_again_for_what_is_said_of_all_jobs(suite):
    (record,) = (suite.root / "results/tiny/cells/darkroom/ad-mamba/default/seed-0").glob("probe.json")
    record.unlink()
    suite.snakemake("claims", "--cores", "2")
    assert record.exists()


def test_plan_says_what_would_run_before_it_runs(suite):
    said = suite.snakemake("plan", "--cores", "1")
    assert "dmh_fig02" in said
    assert "total" in said


def test_bill_says_what_the_jobs_of_a_run_cost(finished):
    said = finished.snakemake("bill", "--cores", "1")
    total = next(line for line in said.splitlines() if "total" in line and "│" in line)
    jobs, billed = (int(cell) for cell in total.split("│")[2:4])
    assert jobs == billed > 10
    assert f"core-hours more, by {jobs} records" in " ".join(said.split())


def test_targets_list_every_artifact_with_a_line_on_it(finished):
    said = finished.snakemake("--list-target-rules")
    assert "DM-H Figure 2: In-context" in said


def test_claims_and_the_audit_come_with_a_run(finished):
    claims = pd.read_csv(finished.root / "results/tiny/claims.csv")
    assert set(claims["claim"]) == {path.stem for path in (finished.root / "workflow/claims").glob("*.yaml")}
    assert (finished.root / "results/tiny/claims.md").exists()
    assert "## Conflicts" in (finished.root / "results/audit/audit.md").read_text()
