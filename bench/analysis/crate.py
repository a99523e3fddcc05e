"""A finished run as an RO-Crate: which files belong to it, and what its metadata say of them and of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bench.catalogue.catalogue import Catalogue
from bench.files import ROOT
from bench.work.gathered import AUDIT, NAMES, files_of
from bench.work.jobs import RESULTS
from bench.work.record import Key, Record
from bench.work.renderings import Rendering
from bench.work.reporting import report_files
from bench.work.stored import stored_texts
from bench.work.suite import Suite

if TYPE_CHECKING:
    from rocrate.model.entity import Entity
    from rocrate.rocrate import ROCrate

VERSION = "1.1"
# The profiles that go with that version of RO-Crate. The last one extends Workflow RO-Crate 1.0, which the
# library declares itself where a crate has a main workflow.
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
}
WORKFLOW = "Snakefile"
LICENCE = "LICENSE"
# What the workflow is made of beside the Snakefile: single files, and folders.
SOURCES = ("README.md", LICENCE, "CITATION.cff", "pyproject.toml", "constraints.txt", "environment.yml")
FOLDERS = ("bench", "docs", "workflow", "profiles", "results/reported")
# Where the folder of a lab's own papers lies in a crate of a run that was given one.
GIVEN = "papers"
FORMATS = {
    ".cff": "application/yaml", ".css": "text/css", ".csv": "text/csv", ".html": "text/html",
    ".js": "text/javascript", ".json": "application/json", ".jsonl": "application/jsonl",
    ".md": "text/markdown", ".npz": "application/zip", ".pdf": "application/pdf", ".png": "image/png",
    ".py": "text/x-python", ".tex": "application/x-tex", ".toml": "application/toml",
    ".yaml": "application/yaml", ".yml": "application/yaml",
}  # fmt: skip


def results_of(suite: Suite, tier: str) -> dict[Path, str]:
    """File, relative to the working folder -> what it is: all that a finished run shows."""
    folder = RESULTS / tier
    # In this order they stand in the crate's own page, where the report is to come first.
    named = {path: f"Report of the {tier} tier: {path.name}" for path in report_files(suite, tier)}
    named |= {
        folder / "cells.csv": "Every number of the run, with what qualifies it",
        folder / "claims.csv": "Claims of the papers, tested on the run: one row a finding",
        folder / "claims_units.csv": "What the claims rest on: one row a seed, task or turn",
        folder / "claims.md": "Claims of the papers, tested on the run",
        folder / "health.txt": "How many jobs ended how",
        RESULTS / "audit" / "audit.csv": "What the papers print, held against itself: one row a check",
        RESULTS / "audit" / "audit.md": "What the papers print, held against itself",
    }
    catalogue = suite.catalogue
    for name, artifact in catalogue.artifacts.items():
        title = f"{catalogue.paper_of(name).title} {artifact.printed}: {artifact.title}"
        named |= dict.fromkeys(Rendering(suite, tier, name).outputs, title)
    return named


def sealed_of(suite: Suite, tier: str) -> list[Sequence[Path]]:
    """The files of each command that says something of the run as a whole."""
    return [*(files_of(tier, first) for first in NAMES), AUDIT, report_files(suite, tier)]


def workflow_files(catalogue: Catalogue) -> dict[str, Path]:
    """Place in the crate -> file: what the Snakefile needs to run, as it is at hand."""
    files = {name: ROOT / name for name in SOURCES}
    for folder in FOLDERS:
        files |= {path.relative_to(ROOT).as_posix(): path for path in _inside(ROOT / folder)}
    given = catalogue.given
    if given:
        files |= {f"{GIVEN}/{path.relative_to(given).as_posix()}": path for path in _inside(given)}
    return files


def _inside(folder: Path) -> list[Path]:
    """The files of a folder, but for what is hidden or compiled."""
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in parts):
            found.append(path)
    return found


def fill(crate: ROCrate, suite: Suite, tier: str, records: dict[Key, Record]) -> None:
    """Add all files of a tier's run to an empty crate, and say what they are and what made them.

    `records` are the sidecars of its jobs. The same files and records give the same metadata.
    """
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    workflow = _workflow(crate, said, list(records.values()))
    results = [_file(crate, path, path.as_posix(), name) for path, name in results_of(suite, tier).items()]
    about = {
        "records.jsonl": "The sidecar of every job, one a line: status, command, seeds, options, times",
        "closures.json": "Hashes of modules and versions of packages that many sidecars share",
    }
    for name, text in stored_texts(records).items():
        place = (RESULTS / tier / name).as_posix()
        results.append(_file(crate, StringIO(text), place, about[name]))
    action = _action(crate, tier, list(records.values()), workflow, results)
    for place, path in workflow_files(suite.catalogue).items():
        _file(crate, path, place, place)
    _root(crate, suite.catalogue, tier, said, action)


def _file(crate: ROCrate, source: Path | StringIO, place: str, name: str) -> Entity:
    properties = {"name": name, "encodingFormat": format_of(place)}
    return crate.add_file(source, place, properties=properties, record_size=True)


def format_of(place: str) -> str:
    """The media type of a file by the end of its name; all that has no own is text."""
    return FORMATS.get(Path(place).suffix, "text/plain")


def _workflow(crate: ROCrate, said: dict[str, Any], records: list[Record]) -> Entity:
    """The Snakefile as the crate's main entity, with the packages that the run was made with."""
    versions = {(name, v) for record in records for name, v in record.versions.items() if v != "absent"}
    versions |= {("Python", record.python) for record in records}
    packages = [
        _entity(crate, f"#{name}-{version}", "SoftwareApplication", name=name, version=version)
        for name, version in sorted(versions)
    ]
    tier = crate.add_formal_parameter(
        "tier", "Text", identifier="#tier", defaultValue="quick", description="How much is spent on each cell"
    )
    properties = {
        "name": said["title"],
        "version": ", ".join(sorted({record.git_commit or "outside git" for record in records})),
        "encodingFormat": "text/plain",
        "license": _licence(crate, said),
        "author": _authors(crate, said["authors"]),
        "input": [tier],
        "softwareRequirements": packages,
    }
    return crate.add_workflow(
        ROOT / WORKFLOW, WORKFLOW, main=True, lang="snakemake", properties=properties, record_size=True
    )


def _action(
    crate: ROCrate, tier: str, records: list[Record], workflow: Entity, results: list[Entity]
) -> Entity:
    """The run: from the start of its first job to the end of its last."""
    counts = Counter(record.status.kind for record in records)
    jobs = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
    platforms = "; ".join(sorted({record.platform for record in records}))
    hours = sum(record.cpu_seconds or 0.0 for record in records) / 3600
    given = _entity(
        crate, f"#tier={tier}", "PropertyValue", name="tier", value=tier, exampleOfWork={"@id": "#tier"}
    )
    properties = {
        "name": f"Run of the {tier} tier",
        "description": f"{len(records)} jobs ({jobs}) in {hours:.2f} core-hours on {platforms}",
        "startTime": min(datetime.fromisoformat(record.started) for record in records).isoformat(),
        "endTime": max(map(_ended, records)).isoformat(timespec="seconds"),
        "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
    }
    return crate.add_action(workflow, "#run", object=[given], result=results, properties=properties)


def _ended(record: Record) -> datetime:
    return datetime.fromisoformat(record.started) + timedelta(seconds=record.seconds)


def _root(crate: ROCrate, catalogue: Catalogue, tier: str, said: dict[str, Any], action: Entity) -> None:
    """What the crate is, whose, and what it rests on."""
    root = crate.root_dataset
    root["name"] = f"{said['title']}, {tier} tier"
    root["description"] = (
        f"{catalogue.tier(tier).title}. Tables, figures, claims, audit and report of one run, the "
        "record of each of its jobs, and the workflow that made them. Checkpoints, datasets and attention "
        "maps are not in it."
    )
    # A crate made twice of one run is the same: it is dated by the run and not by the export.
    root["datePublished"] = action["endTime"]
    root["license"] = _licence(crate, said)
    root["author"] = _authors(crate, said["authors"])
    root["citation"] = [_paper(crate, paper) for paper in said["references"]] + _given_papers(
        crate, catalogue
    )
    root["mentions"] = [action]
    root["conformsTo"] = [
        _entity(crate, profile, "CreativeWork", name=name, version=profile.rsplit("/", 1)[1])
        for profile, name in PROFILES.items()
    ]


def _paper(crate: ROCrate, paper: dict[str, Any]) -> Entity:
    names = " and ".join(_name(author) for author in paper["authors"])
    persons = [author for author in paper["authors"] if "family-names" in author]
    return _entity(
        crate,
        paper["url"],
        "ScholarlyArticle",
        name=paper["title"],
        description=f"By {names}. {paper['notes']}",
        author=_authors(crate, persons),
        datePublished=str(paper["year"]),
    )


def _given_papers(crate: ROCrate, catalogue: Catalogue) -> list[Entity]:
    """The papers of a lab's own folder, of which CITATION.cff knows nothing."""
    return [
        _entity(crate, f"https://arxiv.org/abs/{paper.arxiv}", "ScholarlyArticle", name=paper.full_title)
        for name, paper in catalogue.papers.items()
        if paper.arxiv and not catalogue.is_suites("papers", name)
    ]


def _authors(crate: ROCrate, authors: list[dict[str, str]]) -> list[Entity]:
    """Persons, and others that CITATION.cff gives one name."""
    return [
        _entity(
            crate,
            f"#{_name(author).replace(' ', '-')}",
            "Person" if "family-names" in author else "Organization",
            name=_name(author),
        )
        for author in authors
    ]


def _name(author: dict[str, str]) -> str:
    return author.get("name") or f"{author['given-names']} {author['family-names']}"


def _licence(crate: ROCrate, said: dict[str, Any]) -> Entity:
    address = f"https://spdx.org/licenses/{said['license']}"
    return _entity(crate, address, "CreativeWork", name=f"{said['license']} licence", url={"@id": LICENCE})


def _entity(crate: ROCrate, name: str, kind: str, /, **properties: Any) -> Entity:
    """What a crate says of something that is no file; said once, whoever refers to it."""
    return crate.get(name) or crate.add_jsonld({"@id": name, "@type": kind, **properties})
