"""Reads `workflow/**/*.yaml`, and the folder of a lab's own papers, into one checked `Catalogue`.

Every error is a `SpecError` of one paragraph that names the file, the key and the remedy.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from bench.catalogue.artifacts import Artifact
from bench.catalogue.catalogue import WORKFLOW, Catalogue, Task, paper_name
from bench.catalogue.check import check
from bench.catalogue.check_choices import check_choices, options_of
from bench.catalogue.choices import TEXT, PaperReadings, parse_reading
from bench.catalogue.choices import VARIABLE as READING_VARIABLE
from bench.catalogue.folders import (
    CODE_DEFAULTS,
    CONTRADICTIONS,
    METRICS,
    PAPER,
    READINGS,
    REPORTED,
    SETS,
    artifact_files,
    given_papers,
    import_from,
    paper_folders,
    refuse_twice,
    yaml_files,
)
from bench.catalogue.models import (
    Method,
    Metric,
    Option,
    OptionTable,
    Protocol,
    TaskEntry,
    TaskFamily,
)
from bench.catalogue.names import Names, written_out
from bench.catalogue.paper import Paper
from bench.catalogue.reading import read_mapping, read_model
from bench.catalogue.sources import (
    DATA_SOURCES,
    FOLDER_READERS,
    DatasetRow,
    Given,
    given_data,
    read_rows,
)
from bench.catalogue.strict import Name, Value
from bench.catalogue.tiers import Spending, Tier
from bench.errors import SpecError, unknown
from bench.files import ROOT, shown

# Pages of a report beside those of the papers -> how they are called.
PAGES = {
    "index": "Overview",
    "claims": "Claims",
    "figures": "Figures",
    "audit": "Audit",
    "provenance": "Provenance",
}


def _rows(
    entry: TaskEntry, given: Given, datasets: dict[str, DatasetRow], where: str
) -> tuple[DatasetRow, ...]:
    """The datasets of a task in the real data a run was given."""
    names = entry.minari if given.reader == "minari-sets" else (entry.dataset,) if entry.dataset else ()
    for name in names:
        if name not in datasets:
            raise unknown("dataset", name, datasets, f"{where} (workflow/datasets.csv)")
    return tuple(datasets[name] for name in names)


def _values(family: TaskFamily, entry: TaskEntry, given: Given | None, where: str) -> dict[str, Value]:
    """The values of a task: those of its groups in their order, then its own.

    Those that go with the real data it is given come first.
    """
    values: dict[str, Value] = dict(family.readers[given.reader]) if given else {}
    for group in entry.groups:
        if group not in family.groups:
            raise unknown("group of values", group, family.groups, f"{where}.groups")
        values |= family.groups[group]
    return values | entry.values


def _given_to(family: TaskFamily, run_data: Given | None) -> Given | None:
    """The real data of a run as the family reads it; None where the family has no reader for it."""
    if run_data is None:
        return None
    readers = FOLDER_READERS if run_data.reader in FOLDER_READERS else (run_data.reader,)
    reader = next((reader for reader in readers if reader in family.readers), None)
    return replace(run_data, reader=reader) if reader else None


def _tasks(
    files: dict[str, Path], datasets: dict[str, DatasetRow], run_data: Given | None
) -> dict[str, Task]:
    tasks: dict[str, Task] = {}
    for family_name, path in files.items():
        family = read_model(path, TaskFamily)
        given = _given_to(family, run_data)
        for name, entry in family.tasks.items():
            if name in tasks:
                refuse_twice(path, f"key tasks.{name}", files[tasks[name].family])
            tasks[name] = Task(
                name,
                entry.title,
                family_name,
                family.environment,
                family.space,
                family.problem,
                given.reader if given else family.environment,
                family.protocol,
                DATA_SOURCES[given.reader] if given else family.data_source,
                family.environment_options,
                family.data_options,
                family.model_options,
                _values(family, entry, given, f"{shown(path)}: key tasks.{name}"),
                entry.built,
                given,
                _rows(entry, given, datasets, f"{shown(path)}: key tasks.{name}") if given else (),
            )
    return tasks


def _method_options(
    methods: dict[str, Method], files: dict[str, Path], groups: dict[str, OptionTable]
) -> dict[str, OptionTable]:
    found: dict[str, OptionTable] = {}
    for name, method in methods.items():
        merged: OptionTable = {}
        for group in method.groups:
            if group not in groups:
                raise unknown("option group", group, groups, f"{shown(files[name])}: key groups")
            merged |= groups[group]
        # A method may restate an option of its groups: its own default then holds.
        found[name] = merged | method.options
    return found


def _papers(folders: dict[str, Path]) -> dict[str, Paper]:
    """Every paper by its folder's name, in the order of their pages."""
    papers = {}
    for name, folder in folders.items():
        if not re.fullmatch(r"[a-z][a-z0-9]*", name) or name in PAGES:
            raise SpecError(
                f"{shown(folder)}: a paper's folder is named by a lower-case letter and then letters and "
                f"digits alone, and none of {', '.join(PAGES)}, which are pages of the report. Rename it."
            )
        papers[name] = read_model(folder / PAPER, Paper)
    return dict(sorted(papers.items(), key=lambda item: (item[1].order, item[0])))


def _artifacts(files: dict[str, Path], papers: dict[str, Paper], names: Names) -> dict[str, Artifact]:
    """Every artifact, with the open choices of its own paper by their keys."""
    choices = {name: replace(names, open_choices=paper.open_choices) for name, paper in papers.items()}
    return {name: read_model(path, Artifact, choices[paper_name(name)]) for name, path in files.items()}


def _metrics(roots: tuple[Path, ...]) -> tuple[dict[str, Metric], dict[str, Path]]:
    """Every metric, and the file of each."""
    metrics: dict[str, Metric] = {}
    files: dict[str, Path] = {}
    for path in (root / METRICS for root in roots if (root / METRICS).exists()):
        for name, metric in read_mapping(path, Metric).items():
            if name in metrics:
                refuse_twice(path, f"metric {name}", files[name])
            metrics[name], files[name] = metric, path
    return metrics, files


def _sets(roots: tuple[Path, ...]) -> tuple[dict[str, tuple[str, ...]], dict[str, Path]]:
    """Every set of tasks with the sets that it names written out, and the file of each."""
    sets: dict[str, tuple[str, ...]] = {}
    files: dict[str, Path] = {}
    for path in (root / SETS for root in roots if (root / SETS).exists()):
        listed = read_mapping(path, tuple[Name, ...])
        for name, members in listed.items():
            if name in sets:
                refuse_twice(path, f"set {name}", files[name])
            later = [member for member in members if member in listed and member not in sets]
            if later:
                raise SpecError(
                    f"{shown(path)}: key {name}: a set names tasks and sets that stand above it, and "
                    f"{later[0]!r} stands below it. Move one of them."
                )
            sets[name], files[name] = written_out(members, sets), path
    return sets, files


def _tiers(
    workflow: Path, given: Path | None, names: Names
) -> tuple[dict[str, Tier], dict[str, dict[Path, Spending]]]:
    """The suite's tiers, each with what a lab's folder adds to it, and what each file spends.

    The two are kept apart, so that no cell which the suite has a budget for is run in another way.
    """
    files = yaml_files((workflow,), "tiers")
    tiers = {name: read_model(path, Tier, names) for name, path in files.items()}
    spendings: dict[str, dict[Path, Spending]] = {name: {files[name]: tier} for name, tier in tiers.items()}
    for name, path in yaml_files((given,), "tiers").items() if given else ():
        if name not in tiers:
            raise unknown("tier", name, tiers, shown(path))
        more = read_model(path, Spending, replace(names, recipes=tiers[name].recipes))
        spendings[name][path] = more
        update = {
            "budgets": tiers[name].budgets + more.budgets,
            "left_out": tiers[name].left_out + more.left_out,
        }
        tiers[name] = tiers[name].model_copy(update=update)
    return tiers, spendings


def _reported_folders(given: Path | None) -> list[Path]:
    return [ROOT / "results" / REPORTED, *([given / REPORTED] if given else [])]


def _reported(given: Path | None) -> tuple[Path, ...]:
    files: dict[str, Path] = {}
    for path in (path for folder in _reported_folders(given) for path in sorted(folder.glob("*.csv"))):
        if path.name in (CODE_DEFAULTS, CONTRADICTIONS):
            continue
        if path.name in files:
            refuse_twice(path, f"what {path.stem} prints", files[path.name])
        files[path.name] = path
    return tuple(files.values())


def _beside_reported(given: Path | None, name: str) -> tuple[Path, ...]:
    return tuple(path for folder in _reported_folders(given) if (path := folder / name).exists())


def _readings(
    folders: dict[str, Path], papers: dict[str, Paper], names: Names
) -> tuple[dict[str, PaperReadings], dict[str, Path]]:
    """The readings of each paper that has two, and their files."""
    files = {name: path for name in papers if (path := folders[name] / READINGS).exists()}
    return {name: read_model(path, PaperReadings, names) for name, path in files.items()}, files


def load_catalogue(
    workflow: Path = WORKFLOW, papers: str = "", data: str = "", reading: str = ""
) -> Catalogue:
    """Read and cross-check every file of the specification; SpecError on the first that fails.

    `papers`: the folder of a lab's own, or nothing. `data`: a folder with real data, `minari`, or nothing.
    `reading`: that of whatever does not name one, or nothing for `text`.
    """
    given = given_papers(papers)
    import_from(given)
    roots = (workflow, given) if given else (workflow,)
    files = {part: yaml_files(roots, part) for part in ("methods", "tasks", "options", "protocols", "claims")}
    folders = paper_folders(roots)
    declared = _papers(folders)
    files["papers"] = {name: folders[name] / PAPER for name in declared}
    files["artifacts"] = {
        f"{paper}_{path.stem}": path for paper in declared for path in artifact_files(folders[paper])
    }
    metrics, files["metrics"] = _metrics(roots)
    sets, files["sets"] = _sets(roots)
    names = Names(sets)
    methods = {name: read_model(path, Method, names) for name, path in files["methods"].items()}
    groups = {name: read_mapping(path, Option) for name, path in files["options"].items()}
    datasets = read_rows(workflow / "datasets.csv")
    tiers, spendings = _tiers(workflow, given, names)
    readings, files["readings"] = _readings(folders, declared, names)
    choices = options_of(readings, {name: shown(path) for name, path in files["readings"].items()})
    catalogue = Catalogue(
        papers=declared,
        methods=methods,
        option_groups=groups,
        method_options=_method_options(methods, files["methods"], groups),
        tasks=_tasks(files["tasks"], datasets, given_data(data)),
        protocols={name: read_model(path, Protocol) for name, path in files["protocols"].items()},
        sets=sets,
        metrics=metrics,
        tiers=tiers,
        artifacts=_artifacts(files["artifacts"], declared, names),
        datasets=datasets,
        spendings=spendings,
        files=files,
        reported=_reported(given),
        code_defaults=_beside_reported(given, CODE_DEFAULTS),
        contradictions=_beside_reported(given, CONTRADICTIONS),
        given=given,
        named=papers,
        data=data,
        readings=readings,
        choices=choices,
        reading=parse_reading(
            reading or TEXT, choices, f"config key reading (environment variable {READING_VARIABLE})"
        ),
        workflow=workflow,
    )
    check(catalogue)
    check_choices(catalogue)
    return catalogue
