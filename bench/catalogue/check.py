"""Cross-checks of the catalogue: every name that one file uses, another declares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.catalogue.artifacts import Artifact, CellQuery
from bench.catalogue.catalogue import Catalogue
from bench.catalogue.models import Budget, Options
from bench.errors import SpecError, unknown


def check(catalogue: Catalogue) -> None:
    """Raise SpecError, naming file and key, at the first name that nothing declares."""
    for name, task in catalogue.tasks.items():
        where = f"workflow/tasks/{task.family}.yaml"
        if task.protocol not in catalogue.protocols:
            raise unknown("protocol", task.protocol, catalogue.protocols, f"{where}: key protocol")
        check_values(task.values, catalogue.options(name, None), f"{where}: key tasks.{name}.values")
    for name, method in catalogue.methods.items():
        where = f"workflow/methods/{name}.yaml: key per_task"
        for override in method.per_task:
            check_names(override.tasks, "task", catalogue.tasks, where)
            check_values(override.values, catalogue.method_options[name], where)
        for each in catalogue.tasks:
            _check_no_overlap(catalogue, name, each)
    for name, metric in catalogue.metrics.items():
        if metric.derived:
            where = f"workflow/metrics.yaml: key {name}.derived"
            check_names([metric.derived.metric], "metric", catalogue.metrics, where)
            check_names([metric.derived.baseline], "method", catalogue.methods, where)
    for name, tier in catalogue.tiers.items():
        for budget in tier.budgets:
            _check_budget(catalogue, budget, f"workflow/tiers/{name}.yaml: budget {budget.label!r}")
            if budget.ceiling is not None and budget.ceiling not in tier.ceilings:
                raise unknown("ceiling", budget.ceiling, tier.ceilings, f"workflow/tiers/{name}.yaml")
        for number, left in enumerate(tier.left_out):
            where = f"workflow/tiers/{name}.yaml: key left_out.{number}"
            check_names(left.methods, "method", catalogue.methods, where)
            check_names(() if left.tasks == "any" else left.tasks, "task", catalogue.tasks, where)
    for name, artifact in catalogue.artifacts.items():
        paper, short = name.split("_", 1)
        _check_artifact(catalogue, artifact, f"workflow/papers/{paper}/{short}.yaml")


def check_values(values: dict[str, Any], options: Options, where: str) -> None:
    """Every value names a declared option and fits it."""
    for key, value in values.items():
        if key not in options:
            raise unknown("option", key, options, where)
        problem = options[key].problem(value)
        if problem:
            raise SpecError(f"{where}: option {key} {problem}. Correct the value and run again.")


def check_names(names: Iterable[str], kind: str, known: Iterable[str], where: str) -> None:
    """Every name is a known one; SpecError, with the nearest, at the first that is not."""
    known = set(known)
    for name in names:
        if name not in known:
            raise unknown(kind, name, known, where)


def _check_no_overlap(catalogue: Catalogue, method: str, task: str) -> None:
    family = catalogue.tasks[task]
    groups = [
        family.environment_options,
        family.data_options,
        catalogue.protocols[family.protocol].options,
        catalogue.method_options[method],
    ]
    seen: set[str] = set()
    for group in groups:
        both = seen & set(group)
        if both:
            raise SpecError(
                f"workflow/methods/{method}.yaml and workflow/tasks/{family.family}.yaml: option "
                f"{sorted(both)[0]} is declared twice for {task}; one name has one meaning."
            )
        seen |= set(group)


def _check_budget(catalogue: Catalogue, budget: Budget, where: str) -> None:
    tasks = catalogue.tasks if budget.tasks == "any" else budget.tasks
    methods = catalogue.methods if budget.methods == "any" else budget.methods
    check_names(tasks, "task", catalogue.tasks, where)
    check_names(methods, "method", catalogue.methods, where)
    known: set[str] = set()
    for task in tasks:
        for method in methods:
            options = catalogue.options(task, method)
            check_values(budget.options, options, where)
            known |= set(options)
    if isinstance(budget.settings, dict):
        check_names(budget.settings, "option", known, f"{where}: key settings")


def _check_query(catalogue: Catalogue, query: CellQuery, where: str) -> None:
    check_names(query.tasks, "task", catalogue.tasks, f"{where}: key tasks")
    check_names(query.methods, "method", catalogue.methods, f"{where}: key methods")
    check_names(query.metrics, "metric", catalogue.metrics, f"{where}: key metrics")
    for task in query.tasks:
        for method in query.methods:
            options = catalogue.options(task, method)
            check_names(query.options, "option", options, f"{where}: key options ({method} on {task})")
            for key, value in query.settings.items():
                for single in value if isinstance(value, tuple) else (value,):
                    check_values({key: single}, options, f"{where}: key settings ({method} on {task})")


def _check_artifact(catalogue: Catalogue, artifact: Artifact, where: str) -> None:
    every: list[set[str]] = []
    for number, query in enumerate(artifact.cells):
        _check_query(catalogue, query, f"{where}: key cells.{number}")
        every += [set(catalogue.options(task, method)) for task in query.tasks for method in query.methods]
    # A panel or a row needs a name for each cell, so that each has to have the option.
    fields = {"task", "method", "metric"} | set.intersection(*every)
    check_names(artifact.layout.named_fields, "field", fields, f"{where}: key layout")
    artifact.layout.check(artifact, where)
    for number, unsaid in enumerate(artifact.unsaid):
        check_names([unsaid.option], "option", set.union(*every), f"{where}: key unsaid.{number}.option")
