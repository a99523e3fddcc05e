"""The committed store: promoted from a run, read in its place, and taken as done where a tier says so."""

import csv
import json
import subprocess
import sys

import pandas as pd
import pytest
from records import reseal

from bench.work.stored import seal_store

pytestmark = pytest.mark.slow
STORE = "results/stored/tiny"
PROMOTE = [sys.executable, "-m", "bench", "store", "--tier", "tiny"]


@pytest.fixture
def stored(suite):
    """A finished suite whose own results are its store."""
    suite.run(PROMOTE)
    return suite


@pytest.fixture
def fresh(stored):
    """A suite with a store and no results: a clone."""
    for folder in ("results/tiny", "figures/tiny", ".snakemake"):
        subprocess.run(["rm", "-r", str(stored.root / folder)], check=True)
    return stored


def from_store(suite, *targets, check=True):
    """What Snakemake says, reading the store in the place of a run."""
    command = [sys.executable, "-m", "snakemake", *targets, "--cores", "1"]
    return suite.run([*command, "--config", "tier=tiny", "source=stored"], check)


def numbers(path):
    """A table's rows, without what says where they came from."""
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "changed"} for row in csv.DictReader(file)]


def older(suite, artifact="dmh_table04"):
    """What the rows of a table say has changed since they were stored."""
    table = pd.read_csv(suite.root / f"results/tiny/tables/{artifact}.csv", keep_default_na=False)
    table = table[table["ours"] != ""]
    return dict(zip(table["method"], table["changed"], strict=True))


def test_tables_and_figures_of_the_store_hold_the_numbers_of_the_run(finished, fresh):
    from_store(fresh, "tables", "figures", "cells", "claims")
    for folder, kind in (("results/tiny/tables", "table"), ("figures/tiny", "fig")):
        paths = sorted((finished.root / folder).glob("*.csv"))
        specified = (finished.root / "workflow/papers").glob(f"*/{kind}*.yaml")
        assert len(paths) == len(list(specified)) > 1
        for path in paths:
            assert numbers(fresh.root / folder / path.name) == numbers(path), path.name
    cells = [(suite.root / "results/tiny/cells.csv").read_bytes() for suite in (finished, fresh)]
    assert cells[0] == cells[1]
    assert not (fresh.root / "results/tiny/cells").exists(), "nothing was trained"
    assert (
        "tiny tier from the committed store"
        in (fresh.root / "results/tiny/tables/dmh_table04.md").read_text()
    )
    assert set(older(fresh).values()) == {""}


def test_tables_of_the_store_need_no_torch(fresh):
    code = "import sys; sys.modules['torch'] = None; from bench.commands import table; table.main('tiny')"
    fresh.run(["env", "BENCH_SOURCE=stored", sys.executable, "-c", code])
    assert (fresh.root / "results/tiny/tables/dmh_table04.csv").exists()


def test_a_number_by_older_code_is_shown_with_a_mark_and_what_changed(fresh):
    fresh.edit("bench/methods/ad_mamba.py", "positions=False", "positions=bool(0)")
    from_store(fresh, "tables")
    changed = older(fresh)
    assert changed["ad-mamba"] == "bench.methods.ad_mamba.Learner"
    assert changed["ad-transformer"] == ""
    page = (fresh.root / "results/tiny/tables/dmh_table04.md").read_text()
    assert "† Stored before these changed: bench.methods.ad_mamba.Learner." in page
    assert "numbers by older code" in page


def test_a_change_of_what_came_before_is_named_by_its_own_definition(fresh):
    fresh.edit("bench/worlds/gridworld/data.py", "np.linspace(0, episodes", "np.linspace(0 * 1, episodes")
    from_store(fresh, "figures")
    data = pd.read_csv(fresh.root / "figures/tiny/dmh_fig02.csv", keep_default_na=False)
    assert "bench.worlds.gridworld.data.evenly_spaced" in set(data["changed"])


def test_what_the_store_lacks_is_not_run_there(fresh):
    path = fresh.root / STORE / "records.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if json.loads(line)["method"] != "ad-mamba"))
    seal_store(path.parent)
    from_store(fresh, "dmh_fig02")
    data = pd.read_csv(fresh.root / "figures/tiny/dmh_fig02.csv")
    status = data.groupby("method")["status"].first()
    assert status["ad-mamba"] == "not-run: not in the committed results"
    assert status["ad-transformer"] == "ok"


def test_a_tier_that_takes_stored_results_runs_only_what_the_store_lacks(fresh):
    fresh.edit("workflow/tiers/tiny.yaml", "budget: reduced", "budget: reduced\ntakes_stored: true")
    assert not any(job.split()[0] in ("train", "evaluate", "probe") for job in fresh.would_run("all"))
    fresh.edit("bench/methods/ad_mamba.py", "positions=False", "positions=bool(0)")
    fresh.snakemake("cells", "health", "--cores", "2")
    made = {path.parent.parent.parent.name for path in fresh.root.glob("results/tiny/cells/*/*/*/*/*.json")}
    assert made == {"ad-mamba"}
    cells = pd.read_csv(fresh.root / "results/tiny/cells.csv")
    assert set(cells["status"]) == {"ok"}
    assert {"ad-mamba", "ad-transformer", "dt"} <= set(cells["method"])


def test_a_stored_training_is_run_again_where_its_checkpoint_is_needed(fresh):
    fresh.edit("workflow/tiers/tiny.yaml", "budget: reduced", "budget: reduced\ntakes_stored: true")
    path = fresh.root / STORE / "records.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    lost = [line for line in lines if '"stage": "evaluate"' in line and '"method": "dt"' in line]
    path.write_text("".join(line for line in lines if line not in lost))
    seal_store(path.parent)
    would_run = fresh.would_run("all")
    assert {"train dt/0", "evaluate dt/0", "dataset hopper-medium"} <= would_run
    assert not any("ad-mamba" in job for job in would_run)


def test_what_is_out_of_date_beside_a_stored_result_is_read_by_nothing(stored):
    stored.edit("workflow/tiers/tiny.yaml", "budget: reduced", "budget: reduced\ntakes_stored: true")
    folder = stored.root / "results/tiny/cells/hopper-medium/dt/default/seed-0"
    reseal(folder / "train.json", fingerprint="by older code")
    (folder / "evaluate.json").unlink()
    path = stored.root / STORE / "records.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    lost = [line for line in lines if '"stage": "evaluate"' in line and '"method": "dt"' in line]
    path.write_text("".join(line for line in lines if line not in lost))
    seal_store(path.parent)
    subprocess.run(["rm", "-r", str(stored.root / ".snakemake")], check=True)
    assert {"train dt/0", "evaluate dt/0"} <= stored.would_run("cells")


def test_what_did_not_end_well_in_the_store_is_tried_again_where_that_is_asked_for(fresh):
    fresh.edit("workflow/tiers/tiny.yaml", "budget: reduced", "budget: reduced\ntakes_stored: true")
    path = fresh.root / STORE / "records.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        if (record["stage"], record["method"]) == ("probe", "ad-mamba"):
            record["status"] = "oom"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    seal_store(path.parent)
    work = ("train", "evaluate", "probe")
    assert not [job for job in fresh.would_run("all") if job.split()[0] in work]
    again = fresh.would_run("all", "retry=true")
    assert [job for job in again if job.split()[0] in work] == ["probe ad-mamba/0"]


def test_regress_trains_nothing_where_the_store_is_the_source(fresh):
    said = from_store(fresh, "regress", check=False)
    assert fresh.exit_code != 0
    assert "the store cannot be compared with itself" in said
    assert not (fresh.root / "results/tiny/cells").exists()


def test_another_tier_runs_everything_for_real(fresh):
    assert {"train ad-mamba/0", "evaluate dt/0", "probe ad-mamba/0"} <= fresh.would_run("all")


def test_part_of_a_run_is_promoted_beside_what_the_store_holds(stored):
    before = pd.read_csv(stored.root / STORE / "cells.csv")
    stored.edit("bench/methods/ad_mamba.py", "positions=False", "positions=bool(0)")
    stored.snakemake("results/tiny/cells/darkroom/ad-mamba/default/seed-0/probe.json", "--cores", "1")
    said = stored.run(PROMOTE, check=False)
    assert stored.exit_code == 2
    assert "are missing, damaged or out of date" in said
    assert "promote what there is with --partial" in said
    said = stored.run([*PROMOTE, "--partial"])
    assert "as they were" in said
    after = pd.read_csv(stored.root / STORE / "cells.csv")
    key = ["task", "method", "settings", "seed", "metric", "step", "index"]
    both = before.merge(after, on=key, suffixes=("_before", "_after"))
    assert len(both) == len(before) == len(after)
    renewed = both[both["fingerprint_before"] != both["fingerprint_after"]]
    assert set(zip(renewed["method"], renewed["seed"], strict=True)) == {("ad-mamba", 0)}
    assert "macs" in set(renewed["metric"])
    assert "last_return" not in set(renewed["metric"])


def test_a_damaged_store_is_named_by_file_and_line(fresh):
    path = fresh.root / STORE / "records.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], lines[2][:40] + "\n", *lines[3:]]))
    seal_store(path.parent)
    said = from_store(fresh, "tables", check=False)
    assert fresh.exit_code != 0
    assert "results/stored/tiny/records.jsonl: line 3 is no record" in said
    assert "git checkout" in said


def test_without_a_store_the_message_says_how_to_get_one(suite):
    said = from_store(suite, "tables", check=False)
    assert suite.exit_code != 0
    assert "results/stored/tiny/cells.csv: missing, so there is no store of the tiny tier" in said
    assert "snakemake store --config tier=tiny" in said


def test_an_unknown_source_is_refused(suite):
    command = [sys.executable, "-m", "snakemake", "tables", "--config", "tier=tiny", "source=cloud"]
    said = suite.run(command, check=False)
    assert suite.exit_code != 0
    assert "'cloud' is no source of results" in said


def test_the_rule_promotes_a_finished_run(suite):
    suite.snakemake("store", "--cores", "1")
    assert (suite.root / STORE / "records.jsonl").exists()
