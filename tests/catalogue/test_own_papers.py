"""A folder of a lab's own papers: what it adds, what it leaves as it is, and how its mistakes are named."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from suites import SUITE

from bench.catalogue.load import WORKFLOW, load_catalogue
from bench.errors import SpecError
from bench.files import ROOT
from bench.work.availability import why_not_built
from bench.work.cells import make_cell
from bench.work.claims import load_claims
from bench.work.modules import module_path
from bench.work.plan import all_jobs
from bench.work.suite import Suite

EXAMPLE = ROOT / "examples" / "third_paper"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A copy of the example."""
    shutil.copytree(EXAMPLE, tmp_path / "lab")
    return tmp_path / "lab"


@pytest.fixture
def give() -> Iterator[Callable[[Path | str], Suite]]:
    """Opens the suite with such a folder; at the end its code is no longer found."""
    yield lambda folder: Suite.open(papers=str(folder))
    load_catalogue()


def refused(folder: Path | str, *parts: str) -> None:
    with pytest.raises(SpecError) as caught:
        Suite.open(papers=str(folder))
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text, f"{part!r} not in: {text}"


def test_what_the_folder_declares_stands_beside_the_suites_own(lab, give):
    suite = give(lab)
    catalogue = suite.catalogue
    assert list(catalogue.papers) == ["dema", "dmh", "ota", "extra"]
    assert {"ota_table01", "ota_fig09"} <= set(catalogue.artifacts)
    assert "ota_size" in load_claims(suite)
    assert catalogue.reported[-1] == lab / "reported" / "ota.csv"


def test_its_code_is_found_by_name(lab, give):
    catalogue = give(lab).catalogue
    assert module_path("bench.methods.ota") == lab / "methods" / "ota.py"
    assert why_not_built(catalogue, "train", make_cell(catalogue, "hopper-medium", "ota", {})) == ""
    give("")
    assert module_path("bench.methods.ota") is None


@pytest.mark.parametrize(("tier", "recipe"), [("quick", "hopper"), ("cpu", "mujoco-sequence")])
def test_the_suites_own_jobs_and_their_fingerprints_stay(lab, give, tier, recipe):
    before = {job.key: job.fingerprint for job in all_jobs(SUITE, tier)}
    path = lab / "tiers" / "quick.yaml"
    # A dataset that is the suite's as well has to be made as in its tier.
    path.write_text(path.read_text().replace("options: hopper", f"options: {recipe}"))
    with path.open("a") as budgets:
        budgets.write(
            "  - {label: greedy, tasks: any, methods: any, settings: any, stages: [probe],\n"
            "     options: {probe_repeats: 7}, core_seconds: {probe: 1}}\n"
        )
    path.rename(lab / "tiers" / f"{tier}.yaml")
    after = {job.key: job.fingerprint for job in all_jobs(give(lab), tier)}
    assert before.items() <= after.items()
    assert len(after) > len(before)


def test_a_folder_that_is_not_there(give):
    refused(
        "/nowhere/at/all",
        "config key papers (environment variable BENCH_PAPERS)",
        "no folder /nowhere/at/all",
        "Name the",
    )


@pytest.mark.parametrize(("right", "wrong"), [("papers", "paper"), ("claims", "claim"), ("tiers", "teirs")])
def test_a_misspelt_folder(lab, give, right, wrong):
    (lab / right).rename(lab / wrong)
    refused(lab, f"unknown folder '{wrong}'", f"'{right}'")


def test_a_file_that_would_not_be_read(lab, give):
    (lab / "metric.yaml").write_text("")
    refused(lab, "unknown file 'metric.yaml'", "'metrics.yaml'")
    (lab / "metric.yaml").unlink()
    (lab / "claims" / "ota_size.yaml").rename(lab / "claims" / "ota_size.yml")
    refused(lab, "claims/ota_size.yml", "ends in .yaml")


def test_a_copied_folder_is_no_paper_before_it_says_so(lab, give):
    (lab / "papers" / "ota" / "paper.yaml").unlink()
    refused(lab, "papers/ota: there is no paper.yaml", "title, full_title and order")


def test_an_artifact_beside_the_papers(lab, give):
    (lab / "papers" / "ota" / "table01.yaml").rename(lab / "papers" / "table01.yaml")
    refused(lab, "papers/table01.yaml: no paper's folder", "papers/<paper>/")


@pytest.mark.parametrize("name", ["claims", "two_words"])
def test_a_paper_that_cannot_have_its_page(lab, give, name):
    (lab / "papers" / "ota").rename(lab / "papers" / name)
    refused(lab, f"papers/{name}", "Rename it")


def test_what_is_printed_has_an_artifact(lab, give):
    path = lab / "papers" / "ota" / "paper.yaml"
    path.write_text(path.read_text().replace('tables: "1"', "tables: 1-2"))
    refused(lab, "papers/ota/paper.yaml: key prints", "printed in Table 2", "`printed: Table 2`")


@pytest.mark.parametrize(
    ("own", "suites", "said"),
    [
        ("methods/dt.yaml", "methods/dt.yaml", "dt"),
        ("options/mamba.yaml", "options/mamba.yaml", "mamba"),
        ("metrics.yaml", "metrics.yaml", "metric episode_return"),
        ("claims/dema_macs.yaml", "claims/dema_macs.yaml", "dema_macs"),
        ("papers/dmh/paper.yaml", "papers/dmh/paper.yaml", "paper dmh"),
    ],
)
def test_a_name_that_the_suite_has_already_names_both_files(lab, give, own, suites, said):
    (lab / own).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(WORKFLOW / suites, lab / own)
    refused(lab, f"{lab / own}: {said}", f"also declared by workflow/{suites}", "Rename one of them")


def test_a_module_or_numbers_that_the_suite_has_already(lab, give):
    (lab / "methods" / "heads.py").write_text("")
    refused(lab, "methods/heads.py: module bench.methods.heads", "bench/methods/heads.py")
    (lab / "methods" / "heads.py").unlink()
    (lab / "reported" / "dmh.csv").write_text("")
    refused(lab, "reported/dmh.csv", "results/reported/dmh.csv")


def test_a_tier_holds_no_more_than_budgets_and_what_is_left_out(lab, give):
    path = lab / "tiers" / "quick.yaml"
    text = path.read_text()
    path.write_text("title: mine\n" + text)
    refused(lab, "tiers/quick.yaml: key title: unknown key 'title'")
    path.write_text(text + "left_out:\n  - {methods: [dt], reason: too slow}\n")
    refused(lab, "tiers/quick.yaml: key left_out.0: dt on these tasks is the suite's own")
    path.write_text(text)
    path.rename(lab / "tiers" / "quik.yaml")
    refused(lab, "tiers/quik.yaml: unknown tier 'quik'", "'quick'")


def test_a_claim_or_an_artifact_of_its_own_is_checked_as_the_suites(lab, give):
    path = lab / "papers" / "ota" / "table01.yaml"
    path.write_text(path.read_text().replace("[dt, ota]", "[dt, otta]"))
    refused(lab, f"{path}: key cells.0: key methods: unknown method 'otta'", "'ota'")


def test_the_examples_artifacts_say_where_they_are_printed():
    for path in EXAMPLE.glob("papers/ota/*[0-9].yaml"):
        assert re.search(r"^printed: (Table|Figure) \d+$", path.read_text(), re.M), path
