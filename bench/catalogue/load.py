"""Reads `workflow/**/*.yaml` into one checked `Catalogue`.

Every error is a `SpecError` of one paragraph that names the file, the key and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from bench.catalogue.artifacts import SAID, Artifact
from bench.catalogue.catalogue import Catalogue, Task
from bench.catalogue.check import check
from bench.catalogue.models import (
    Method,
    Metric,
    Option,
    Options,
    Protocol,
    TaskEntry,
    TaskFamily,
    Tier,
)
from bench.catalogue.sources import DATA_SOURCES, DatasetRow, Given, given_data, read_rows
from bench.errors import SpecError, unknown
from bench.files import ROOT, shown

WORKFLOW = ROOT / "workflow"
# Folder of artifacts -> how its paper is called. `extra` holds what neither paper asked.
PAPERS = {"dema": "DeMa", "dmh": "DM-H", "extra": "Beyond the papers"}
Model = TypeVar("Model", bound=BaseModel)


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's safe loader, but a key written twice is an error: YAML itself keeps the last one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node; YAMLError, with its line, at the first key written twice."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                problem = f"key {key!r} is written twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def read_yaml(path: Path) -> Any:
    """The content of one YAML file; a syntax error names the file and the line."""
    try:
        return yaml.load(path.read_text(), Loader=Loader)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).replace('in "<unicode string>", ', "").split())
        raise SpecError(f"{shown(path)}: not valid YAML: {problem}. Mend the file and run again.") from None


def _explain(path: Path, error: ValidationError, model: type[BaseModel] | None) -> SpecError:
    """Turn a pydantic error into one paragraph: file, key, what is wrong, what to do."""
    parts = []
    for problem in error.errors()[:5]:
        key = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
        if problem["type"] == SAID:
            parts.append(problem["msg"].rstrip("."))
        elif problem["type"] == "extra_forbidden":
            known = sorted(model.model_fields) if model and len(problem["loc"]) == 1 else []
            parts.append(
                str(unknown("key", str(problem["loc"][-1]), known, f"key {key}"))
                if known
                else f"key {key}: not a key this file may hold; remove it or correct its spelling"
            )
        else:
            parts.append(f"key {key}: {problem['msg']}, got {str(problem.get('input'))[:80]!r}")
    said = "; ".join(parts)
    return SpecError(
        f"{shown(path)}: {said}{'' if said.endswith('?') else '.'} Correct the file and run again."
    )


def read_model(path: Path, model: type[Model]) -> Model:
    """One YAML file as one model."""
    try:
        return model.model_validate(read_yaml(path))
    except ValidationError as error:
        raise _explain(path, error, model) from None


def read_mapping(path: Path, value: type[Model]) -> dict[str, Model]:
    """One YAML file as name -> model."""
    try:
        return TypeAdapter(dict[str, value]).validate_python(read_yaml(path) or {})  # type: ignore[valid-type]
    except ValidationError as error:
        raise _explain(path, error, None) from None


def _files(folder: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((WORKFLOW / folder).glob("*.yaml")):
        yield path.stem, path


def _rows(
    entry: TaskEntry, given: Given, datasets: dict[str, DatasetRow], where: str
) -> tuple[DatasetRow, ...]:
    """The datasets of a task in the real data a run was given."""
    names = entry.minari if given.reader == "minari-sets" else (entry.dataset,) if entry.dataset else ()
    for name in names:
        if name not in datasets:
            raise unknown("dataset", name, datasets, f"{where} (workflow/datasets.csv)")
    return tuple(datasets[name] for name in names)


def _tasks(datasets: dict[str, DatasetRow]) -> dict[str, Task]:
    tasks: dict[str, Task] = {}
    run_data = given_data()
    for family_name, path in _files("tasks"):
        family = read_model(path, TaskFamily)
        given = run_data if run_data and run_data.reader in family.readers else None
        for name, entry in family.tasks.items():
            if name in tasks:
                raise SpecError(
                    f"{shown(path)}: key tasks.{name}: also declared by "
                    f"workflow/tasks/{tasks[name].family}.yaml; rename one of them."
                )
            tasks[name] = Task(
                name,
                entry.title,
                family_name,
                family.environment,
                given.reader if given else family.collector,
                family.protocol,
                DATA_SOURCES[given.reader] if given else family.data_source,
                family.environment_options,
                family.data_options,
                dict(entry.values),
                entry.built,
                given,
                _rows(entry, given, datasets, f"{shown(path)}: key tasks.{name}") if given else (),
            )
    return tasks


def _method_options(methods: dict[str, Method]) -> dict[str, Options]:
    groups = {name: read_mapping(path, Option) for name, path in _files("options")}
    found: dict[str, Options] = {}
    for name, method in methods.items():
        merged: Options = {}
        for group in method.groups:
            if group not in groups:
                raise unknown("option group", group, groups, f"workflow/methods/{name}.yaml: key groups")
            merged |= groups[group]
        # A method may restate an option of its groups: its own default then holds.
        found[name] = merged | method.options
    return found


@cache
def load_catalogue() -> Catalogue:
    """Read and cross-check every file under `workflow/`; SpecError on the first that fails."""
    methods = {name: read_model(path, Method) for name, path in _files("methods")}
    datasets = read_rows(WORKFLOW / "datasets.csv")
    catalogue = Catalogue(
        methods=methods,
        method_options=_method_options(methods),
        probe_options=read_mapping(WORKFLOW / "options" / "probe.yaml", Option),
        tasks=_tasks(datasets),
        protocols={name: read_model(path, Protocol) for name, path in _files("protocols")},
        metrics=read_mapping(WORKFLOW / "metrics.yaml", Metric),
        tiers={name: read_model(path, Tier) for name, path in _files("tiers")},
        artifacts={
            f"{paper}_{name}": read_model(path, Artifact)
            for paper in PAPERS
            for name, path in _files(f"papers/{paper}")
        },
        datasets=datasets,
    )
    check(catalogue)
    return catalogue
