"""Artifacts, budgets and claims under readings: what they ask for, and what is printed beside it."""

import pandas as pd
import pytest
import yaml
from reading_cases import TASK, choices, lab, suite_with_readings
from suites import CATALOGUE, table_of

from bench.analysis.labels import axis_value, method_label
from bench.analysis.reported import COLUMNS
from bench.analysis.verdicts import printed_for
from bench.catalogue.load import load_catalogue
from bench.catalogue.models import Derived
from bench.catalogue.tiers import Budget
from bench.errors import SpecError
from bench.work.claims import load_claims
from bench.work.entries import entries
from bench.work.jobs import Job
from bench.work.origins import origins
from bench.work.plan import all_jobs
from bench.work.renderings import Rendering
from bench.work.suite import Suite

ARTIFACT = table_of(
    [{"tasks": [TASK], "methods": ["dt"], "metrics": ["parameters", "return"],
      "settings": {"reading": ["text", "code", "text+noise"]}}],
    rows="reading", seeds=1,
)  # fmt: skip
TIER = """
budgets:
  - {label: any reading, tasks: [hopper-medium], methods: [dt], settings: {reading: any, dropout: any},
     stages: [train, evaluate], core_seconds: {train: 1, evaluate: 1}}
"""


def suite(folder, reading="", artifact=ARTIFACT, tier=""):
    folder.mkdir(exist_ok=True)
    if tier:
        (folder / "lab" / "tiers").mkdir(parents=True)
        (folder / "lab" / "tiers" / "quick.yaml").write_text(tier)
    return suite_with_readings(folder, reading, table01=yaml.safe_dump(artifact))


def test_an_artifact_asks_for_cells_under_readings(tmp_path):
    shown = entries(suite(tmp_path), "mine_table01", "paper")
    named = [(entry.cell.slug, axis_value(entry, "reading")) for entry in shown if entry.metric == "return"]
    assert named == [("default", "text"), ("reading=code", "code"), ("dropout=0.375", "text+noise")]


@pytest.mark.parametrize(
    ("reading", "said"),
    [("cde", "unknown reading 'cde'"), ("text+nose", "unknown choice of a reading 'nose'")],
)
def test_a_reading_that_nothing_declares_is_refused_in_an_artifact(tmp_path, reading, said):
    artifact = yaml.safe_load(yaml.safe_dump(ARTIFACT))
    artifact["cells"][0]["settings"]["reading"] = ["text", reading]
    with pytest.raises(SpecError, match=r"mine/table01.yaml: key cells.0: key settings \(dt on .*" + said):
        suite(tmp_path, artifact=artifact)


def test_the_run_asks_for_every_cell_under_its_reading_and_files_printed_numbers_under_the_artifacts(
    tmp_path,
):
    text, code = suite(tmp_path / "text"), suite(tmp_path / "code", "code")
    for name in ("dema_table06", "dema_table04"):
        before, after = entries(text, name, "paper"), entries(code, name, "paper")
        assert [entry.asked for entry in after] == [entry.asked for entry in before]
        assert [entry.asked for entry in before] == [entry.cell for entry in before]
        assert {entry.reading for entry in after} == {"code"}
        moved = {
            entry.cell.method for entry in after if entry.cell != entry.asked and "test" not in entry.label
        }
        assert "dt" in moved
        assert {entry.cell.task for entry in after if entry.cell != entry.asked} == {TASK}
        assert [method_label(entry) for entry in after] == [method_label(entry) for entry in before]


def test_what_no_reading_changes_is_the_same_job(tmp_path):
    text, code = suite(tmp_path / "text"), suite(tmp_path / "code", "code")
    before = {job.key: job.fingerprint for job in all_jobs(text, "quick")}
    after = {job.key: job.fingerprint for job in all_jobs(code, "quick")}
    same = before.keys() & after.keys()
    assert {key for key in same if before[key] != after[key]} == set()
    assert {key[1] for key in before.keys() - after.keys()} == {TASK}
    assert {key[1] for key in same} > {"darkroom", TASK}


def test_equal_options_have_the_same_fingerprint_under_either_name(tmp_path):
    one = suite(tmp_path / "text")
    code = suite(tmp_path / "code", "code")
    cell = next(entry.cell for entry in entries(code, "mine_table01", "paper") if entry.reading == "code")
    jobs = [Job(each, "train", "paper", cell, 0) for each in (one, code)]
    assert jobs[0].fingerprint == jobs[1].fingerprint
    assert jobs[1].command.startswith(
        f"BENCH_PAPERS={tmp_path}/code/lab BENCH_READING=code python -m bench train"
    )
    assert jobs[1].command.endswith("--settings 'reading=code'")


def test_a_tier_runs_other_readings_where_a_budget_names_them(tmp_path):
    def missing(one):
        return [entry.missing for entry in entries(one, "mine_table01", "quick") if entry.metric == "return"]

    assert missing(suite(tmp_path / "none")) == ["", "needs the paper tier", "needs the paper tier"]
    assert missing(suite(tmp_path / "any", tier=TIER)) == ["", "", ""]


def test_a_budget_names_readings_as_any_setting():
    budget = Budget.model_validate({
        "label": "one", "tasks": "any", "methods": "any", "stages": ["train"], "core_seconds": {"train": 1},
        "settings": {"reading": ["code"]},
    })  # fmt: skip
    assert budget.allows({"reading": "code"}, {"reading": "text"})
    assert not budget.allows({}, {"reading": "text"})


def test_a_budget_that_names_no_reading_is_refused(tmp_path):
    tier = TIER.replace("reading: any", "reading: [text, coed]")
    with pytest.raises(SpecError, match=r"quick.yaml: budget 'any reading': .*unknown reading 'coed'"):
        suite(tmp_path, tier=tier)


def test_a_ratio_is_to_the_baseline_under_the_same_reading(tmp_path):
    one = suite(tmp_path, "code")
    parts = [
        part
        for name in one.catalogue.artifacts
        for entry in entries(one, name, "paper")
        for part in entry.parts
        if entry.reading == "code" and part.cell.task == TASK
    ]
    assert {part.cell.reading for part in parts if part.cell.method == "dt"} <= {"code"}


def test_a_claim_may_compare_readings(tmp_path):
    folder = lab(tmp_path, choices(CATALOGUE), table01=yaml.safe_dump(ARTIFACT))
    (folder / "claims").mkdir()
    side = {"method": "dt", "settings": {"reading": "code"}}
    comparison = {"label": "code over text", "tasks": [TASK], "metric": "return", "first": side,
                  "second": {"method": "dt"}, "expect": "more", "smallest": 0.0}  # fmt: skip
    claim = {"title": "One", "section": "1", "says": "One.", "comparisons": [comparison]}
    path = folder / "claims" / "mine_one.yaml"
    path.write_text(yaml.safe_dump(claim))
    (read,) = load_claims(Suite.open(papers=str(folder)))["mine_one"].comparisons
    catalogue = load_catalogue(papers=str(folder))
    assert [side.cells(catalogue, read.tasks)[0].slug for side in read.sides()] == ["reading=code", "default"]
    side["settings"]["reading"] = "coed"
    path.write_text(yaml.safe_dump(claim))
    with pytest.raises(SpecError, match=r"mine_one.yaml: key comparisons.0: key settings .*'coed'"):
        load_claims(Suite.open(papers=str(folder)))


REPORTED = {
    "artifact": ["mine_table01", "dmh_table04", "dema_table06"],
    "metric": ["parameters", "return", "return"], "value": ["12", "34", "56"],
}  # fmt: skip


def printed(folder, **more):
    one = suite(folder, artifact=ARTIFACT | more)
    rows = pd.DataFrame(
        dict.fromkeys(COLUMNS, "") | {"task": TASK, "method": "dt", "settings": "default"} | REPORTED
    )
    shown = entries(one, "mine_table01", "paper")
    return {
        metric: [
            found and found.value for e in shown if e.metric == metric for found in [printed_for(e, rows)]
        ]
        for metric in ("parameters", "return")
    }


def test_a_printed_number_stands_beside_each_reading_of_its_cell(tmp_path):
    assert printed(tmp_path) == {"parameters": ["12"] * 3, "return": [None] * 3}


def test_what_another_artifact_prints_of_a_cell_stands_beside_it_where_it_is_named(tmp_path):
    assert printed(tmp_path / "named", printed_in=["dmh_table04"])["return"] == ["34"] * 3
    with pytest.raises(SpecError, match=r"mine/table01.yaml: key printed_in: unknown artifact 'dmh_table4'"):
        printed(tmp_path / "misspelt", printed_in=["dmh_table4"])


def test_a_label_says_the_reading_where_the_layout_does_not(tmp_path):
    rows = entries(suite(tmp_path / "rows"), "mine_table01", "paper")
    assert {method_label(entry) for entry in rows} == {"DT"}
    layout = {"kind": "table", "rows": ["method"], "columns": ["metric"]}
    unsaid = entries(
        suite(tmp_path / "unsaid", artifact=ARTIFACT | {"layout": layout}), "mine_table01", "paper"
    )
    labels = [method_label(entry) for entry in unsaid if entry.metric == "return"]
    assert labels == ["DT", "DT (reading code)", "DT (reading text+noise)"]


@pytest.mark.parametrize(("form", "found"), [("share", 0.25), ("saved", 75.0), ("times-fewer", 4.0)])
def test_a_metric_may_say_how_it_stands_to_the_baselines(form, found):
    assert Derived(metric="parameters", baseline="dt", form=form).of(5.0, 20.0) == found


def test_a_page_rests_on_the_reading_of_the_run(tmp_path):
    text, code = suite(tmp_path / "text"), suite(tmp_path / "code", "code")
    assert code.catalogue.reading_said == ", reading code"
    for name in ("dema_table06", "mine_table01"):
        fingerprints = {Rendering(one, "paper", name).fingerprint for one in (text, code)}
        assert len(fingerprints) == (2 if name == "dema_table06" else 1)


def test_the_origin_of_an_option_says_its_reading(tmp_path):
    one = suite(tmp_path, "code")
    cell = entries(one, "mine_table01", "paper")[2].cell
    assert cell.slug == "reading=code"
    found = origins(one.catalogue, Job(one, "train", "paper", cell, 0).resolved)
    assert (found["dropout"].value, found["dropout"].layer) == (0.375, "reading code")
    assert (found["updates"].value, found["updates"].layer) == (77, "reading code, scale")
    assert found["batch_size"].layer == "default"
