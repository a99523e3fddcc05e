"""The RO-Crate of a finished run: what is in it, what its metadata say, and what it refuses."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from records import reseal, write_record, write_sidecar
from rocrate.rocrate import ROCrate
from suites import CATALOGUE, SUITE

import bench.commands.cells
from bench.analysis.crate import results_of, sealed_of, workflow_files
from bench.commands.crate import main
from bench.files import ROOT
from bench.work.gathered import seal
from bench.work.plan import all_jobs
from bench.work.renderings import Rendering

STARTS = ("2026-01-03T10:00:00+00:00", "2026-01-01T10:00:00+00:00", "2026-01-02T10:00:00+00:00")
METADATA = "ro-crate-metadata.json"


def write_numbered(job, number):
    job.folder.mkdir(parents=True, exist_ok=True)
    job.table.write_text("metric,step,index,value\n")
    record = {
        "facts": {}, "git_commit": "0123456789ab", "seconds": 90.0, "cpu_seconds": 36.0,
        "started": STARTS[number % 3], "platform": "A processor", "python": "3.11.7",
        "versions": {"torch": "2.13.0", "minari": "absent"}, "parts": job.parts,
    }  # fmt: skip
    write_record(job, **record)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A working folder with a finished quick run, whose tables, figures and pages are a line of text each."""
    monkeypatch.chdir(tmp_path)
    jobs = all_jobs(SUITE, "quick")
    for number, job in enumerate(jobs):
        write_numbered(job, number)
    for path in results_of(SUITE, "quick"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{path}\n")
    for name in CATALOGUE.artifacts:
        rendering = Rendering(SUITE, "quick", name)
        write_sidecar(rendering)
    bench.commands.cells.main("quick")
    for files in sealed_of(SUITE, "quick"):
        seal(files)
    return jobs


@pytest.fixture
def crate(run):
    """The crate of that run, written as a folder and read back by the library."""
    Path("crate").mkdir()
    main("quick", Path("crate"))
    return ROCrate("crate")


def graph():
    return json.loads(Path("crate", METADATA).read_text())["@graph"]


def references(value):
    """Every identifier that a value of the metadata refers to."""
    if isinstance(value, dict):
        return [value["@id"]]
    return [found for one in value for found in references(one)] if isinstance(value, list) else []


def refused(capsys, *words, output=None):
    """The command must stop with these words and leave nothing behind."""
    before = sorted(Path().rglob("*"))
    with pytest.raises(SystemExit) as stopped:
        main("quick", output)
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert all(word in said for word in words), said
    assert sorted(Path().rglob("*")) == before


def test_every_file_has_an_entity_and_every_entity_of_a_file_its_file(crate):
    described = {"ro-crate-preview.html", METADATA, *(entity.id for entity in crate.data_entities)}
    there = {path.relative_to("crate").as_posix() for path in Path("crate").rglob("*") if path.is_file()}
    assert there == described
    assert {part.id for part in crate.root_dataset["hasPart"]} == described - {
        "ro-crate-preview.html", METADATA,
    }  # fmt: skip
    for entity in crate.data_entities:
        assert entity["name"], entity.id
        assert int(entity["contentSize"]) == Path("crate", entity.id).stat().st_size


def test_the_kind_of_a_file_is_said(crate):
    kinds = {Path(file.id).suffix: file["encodingFormat"] for file in crate.data_entities}
    assert {kinds[suffix] for suffix in (".png", ".pdf", ".html", ".csv", ".jsonl", ".py")} == {
        "image/png", "application/pdf", "text/html", "text/csv", "application/jsonl", "text/x-python",
    }  # fmt: skip
    assert {suffix for suffix, kind in kinds.items() if kind == "text/plain"} <= {
        "", ".txt", ".smk", ".j2", ".sh",
    }  # fmt: skip


def test_what_the_metadata_refer_to_is_described_in_them_or_is_an_address(crate):
    entities = graph()
    names = {entity["@id"] for entity in entities}
    assert len(names) == len(entities)
    referred = {name for entity in entities for value in entity.values() for name in references(value)}
    assert {name for name in referred - names if not name.startswith(("https://", "http://"))} == set()
    unreferred = names - referred - {METADATA, "ro-crate-preview.html"}
    assert unreferred == set(), "described, but nothing leads there"


def test_all_that_a_run_shows_is_the_result_of_one_action_of_the_workflow(crate, run):
    (action,) = crate.get_by_type("CreateAction")
    assert action["instrument"] == crate.mainEntity == crate.get("Snakefile")
    assert crate.root_dataset["mentions"] == [action]
    assert (action["startTime"], action["endTime"]) == (STARTS[1], "2026-01-03T10:01:30+00:00")
    stored = {f"results/quick/{name}" for name in ("records.jsonl", "closures.json")}
    assert {file.id for file in action["result"]} == {
        path.as_posix() for path in results_of(SUITE, "quick")
    } | stored
    assert [(given["name"], given["value"]) for given in action["object"]] == [("tier", "quick")]
    assert f"{len(run)} jobs ({len(run)} ok)" in action["description"]
    assert Path("crate/results/quick/report/claims.html").read_text() == "results/quick/report/claims.html\n"


def test_the_record_of_every_job_is_in_it(crate, run):
    lines = Path("crate/results/quick/records.jsonl").read_text().splitlines()
    assert {json.loads(line)["fingerprint"] for line in lines} == {job.fingerprint for job in run}
    assert len(lines) == len(run)


def test_it_holds_to_the_profiles_of_a_workflows_run(crate):
    conforms = {name for entity in graph() for name in references(entity.get("conformsTo", []))}
    assert {
        "https://w3id.org/ro/crate/1.1", "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
        "https://w3id.org/ro/wfrun/process/0.5", "https://w3id.org/ro/wfrun/workflow/0.5",
    } <= conforms  # fmt: skip
    workflow = crate.mainEntity
    assert workflow.type == ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
    assert workflow["programmingLanguage"]["name"] == "Snakemake"
    assert workflow["version"] == "0123456789ab"
    packages = {(package["name"], package["version"]) for package in workflow["softwareRequirements"]}
    assert packages == {("Python", "3.11.7"), ("torch", "2.13.0")}, "what is absent was not used"


def test_licence_authors_and_papers_are_those_of_the_citation_file(crate):
    root = crate.root_dataset
    assert root["license"].id == crate.mainEntity["license"].id == "https://spdx.org/licenses/MIT"
    assert root["license"]["url"].id == "LICENSE"
    assert [author["name"] for author in root["author"]] == ["The maintainers of mamba-offline-rl-bench"]
    assert {paper.id: paper["author"][0]["name"] for paper in root["citation"]} == {
        "https://arxiv.org/abs/2405.12094": "Yang Dai",
        "https://arxiv.org/abs/2406.00079": "Sili Huang",
    }
    assert root["datePublished"] == "2026-01-03T10:01:30+00:00", "dated by the run, not by the export"


def test_the_workflow_in_it_is_all_that_snakemake_needs_to_plan(crate):
    for place, path in workflow_files(CATALOGUE).items():
        assert Path("crate", place).read_bytes() == path.read_bytes()
    assert {
        "bench/catalogue/load.py", "workflow/rules/common.smk", "profiles/default/config.yaml",
        "results/reported/dema.csv", "bench/datasets/policies/hopper-medium.npz",
    } <= set(workflow_files(CATALOGUE))  # fmt: skip


def test_a_zip_is_the_same_crate_and_is_written_anew(crate):
    for _ in range(2):
        main("quick")
    with zipfile.ZipFile("results/quick/crate.zip") as archive:
        names = archive.namelist()
        assert archive.read(METADATA) == Path("crate", METADATA).read_bytes()
    assert len(names) == len(set(names))
    assert set(names) == {p.relative_to("crate").as_posix() for p in Path("crate").rglob("*") if p.is_file()}
    assert not list(Path("results/quick").glob(".crate-*"))


def test_it_is_made_without_torch_and_in_a_new_folder_below_another(run):
    code = "import sys; sys.modules['torch'] = None\n"
    code += "from bench.commands.crate import *; main('quick', Path('a/b'))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert Path("a/b", METADATA).exists()


def test_an_unfinished_run_is_refused(run, capsys):
    run[-1].record.unlink()
    refused(capsys, f"1 of {len(run)} jobs are missing", "snakemake all --config tier=quick")


def test_a_broken_job_is_refused(run, capsys):
    reseal(run[4].record, status="failed: x")
    refused(capsys, str(run[4].record), "failed: x", "snakemake all --config tier=quick retry=true")


def test_a_page_that_is_missing_is_named(run, capsys):
    Path("results/quick/report/claims.html").unlink()
    refused(capsys, "results/quick/report/claims.html: missing", "snakemake all --config tier=quick")


def test_a_table_or_figure_of_other_code_is_named(run, capsys):
    reseal(Path("figures/quick/dmh_fig02.json"), fingerprint="another")
    refused(capsys, "figures/quick/dmh_fig02.json: dmh_fig02 is stale")


def test_numbers_gathered_from_other_records_are_refused(run, capsys):
    path = Path("results/quick/cells.csv")
    path.write_text(path.read_text().replace(run[-1].fingerprint, "another"))
    refused(capsys, "results/quick/cells.csv: damaged or edited")
    seal([path])
    refused(capsys, "results/quick/cells.csv: column fingerprint: made from other records")


def test_the_store_in_the_place_of_a_run_is_refused(run, capsys, monkeypatch):
    monkeypatch.setenv("BENCH_SOURCE", "stored")
    refused(capsys, "config key source", "BENCH_SOURCE", "Leave it out")


def test_a_folder_with_something_in_it_is_left_as_it_is(run, capsys):
    refused(capsys, "option --output: results exists and is no empty folder", output=Path("results"))
    Path("a.zip").mkdir()
    refused(capsys, "option --output: a.zip is a folder", output=Path("a.zip"))


def test_without_the_library_the_message_says_how_to_install_it(run, capsys, monkeypatch):
    for name in ("rocrate", "rocrate.rocrate"):
        monkeypatch.setitem(sys.modules, name, None)
    refused(capsys, "package rocrate: not installed", "pip install -c constraints.txt -e '.[crate]'")


def test_an_unknown_tier_is_refused(run, capsys):
    with pytest.raises(SystemExit) as stopped:
        main("quack")
    assert stopped.value.code == 2
    assert "quack" in capsys.readouterr().err
