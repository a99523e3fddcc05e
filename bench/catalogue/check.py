"""Cross-checks of the catalogue: every name that one file uses, another declares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from bench.catalogue.artifacts import Artifact, CellQuery
from bench.catalogue.catalogue import Catalogue, paper_name
from bench.catalogue.choices import READING, parse_reading
from bench.catalogue.models import OptionTable, Override, SameAs
from bench.catalogue.names import ANY
from bench.catalogue.rivals import TIMED_AGAINST, check_shared, parse_rival
from bench.catalogue.strict import Value
from bench.catalogue.tiers import Budget, LeftOut, Ranges, Spending, Tier
from bench.errors import SpecError, unknown
from bench.files import shown


def check(catalogue: Catalogue) -> None:
    """Raise SpecError, naming file and key, at the first name that nothing declares."""
    _check_sets(catalogue)
    for name, task in catalogue.tasks.items():
        where = catalogue.where("tasks", task.family)
        if task.protocol not in catalogue.protocols:
            raise unknown("protocol", task.protocol, catalogue.protocols, f"{where}: key protocol")
        check_values(task.values, catalogue.options(name, None), f"{where}: key tasks.{name}.values")
    for name, method in catalogue.methods.items():
        _check_spaces(catalogue, name)
        where = f"{catalogue.where('methods', name)}: key per_task"
        for override in method.per_task:
            check_tasks(catalogue, override.tasks, where)
            for each in override.tasks:
                _check_override(catalogue, name, override, each, where)
        for each in catalogue.tasks:
            _check_no_overlap(catalogue, name, each)
    for name, metric in catalogue.metrics.items():
        if metric.derived:
            where = f"{catalogue.where('metrics', name)}: key {name}.derived"
            check_names([metric.derived.metric], "metric", catalogue.metrics, where)
            check_names([metric.derived.baseline], "method", catalogue.methods, where)
    for name, protocol in catalogue.protocols.items():
        named = [metric for metric in (protocol.score, protocol.curve) if metric]
        check_names(named, "metric", catalogue.metrics, catalogue.where("protocols", name))
    for name, spendings in catalogue.spendings.items():
        for path, spending in spendings.items():
            _check_spending(catalogue, spending, set(catalogue.tiers[name].ceilings), shown(path))
    for name, artifact in catalogue.artifacts.items():
        _check_artifact(catalogue, name, artifact)
    _check_printed(catalogue)
    _check_open_choices(catalogue)


def _check_spaces(catalogue: Catalogue, method: str) -> None:
    """A method names kinds of space and problems that some family of tasks has."""
    where, declared = catalogue.where("methods", method), catalogue.methods[method]
    spaces = {task.space for task in catalogue.tasks.values()}
    problems = {task.problem for task in catalogue.tasks.values()}
    check_names(declared.acts_in, "kind of space", spaces, f"{where}: key acts_in")
    check_names(declared.settings_for, "problem", problems, f"{where}: key settings_for")


def _check_override(catalogue: Catalogue, method: str, override: Override, task: str, where: str) -> None:
    """The values of a method on a task fit its options, and `same_as` names an option that the task has."""
    others = catalogue.options(task, None)
    for key, value in override.values.items():
        if isinstance(value, SameAs):
            check_names([value.same_as], "option", others, f"{where} ({task}): {key}.same_as")
    defaults = {name: option.default for name, option in others.items()} | catalogue.tasks[task].values
    check_values(override.values_given(defaults), catalogue.method_options[method], where)


def _check_sets(catalogue: Catalogue) -> None:
    """A set of tasks has a name of its own, and names tasks."""
    for name, tasks in catalogue.sets.items():
        where = catalogue.where("sets", name)
        if name in catalogue.tasks:
            raise SpecError(
                f"{where}: set {name!r} is called as a task of "
                f"{catalogue.where('tasks', catalogue.tasks[name].family)}; one name has one meaning. Rename "
                "the set."
            )
        if name == ANY:
            raise SpecError(f"{where}: set {ANY!r}: the word stands for every task already. Rename the set.")
        check_tasks(catalogue, tasks, f"{where}: key {name}")


def _check_spending(catalogue: Catalogue, spending: Spending, ceilings: set[str], where: str) -> None:
    for budget in spending.budgets:
        _check_budget(catalogue, budget, f"{where}: budget {budget.label!r}")
        if budget.ceiling is not None and budget.ceiling not in ceilings:
            raise unknown("ceiling", budget.ceiling, ceilings, where)
    for number, left in enumerate(spending.left_out):
        key = f"{where}: key left_out.{number}"
        check_names(left.methods, "method", catalogue.methods, key)
        check_tasks(catalogue, () if left.tasks == ANY else left.tasks, key)
        if not isinstance(spending, Tier):
            _check_left_out(catalogue, left, key)


def _check_left_out(catalogue: Catalogue, left: LeftOut, where: str) -> None:
    """A lab's folder leaves out nothing that the suite runs by itself."""
    tasks = catalogue.tasks if left.tasks == ANY else left.tasks
    own_tasks = all(not catalogue.is_suites("tasks", catalogue.tasks[task].family) for task in tasks)
    for method in left.methods:
        if catalogue.is_suites("methods", method) and not own_tasks:
            raise SpecError(
                f"{where}: {method} on these tasks is the suite's own, and a folder of papers leaves what "
                "the suite runs as it is. Name methods or tasks of this folder, or remove the entry."
            )


def _check_printed(catalogue: Catalogue) -> None:
    """Everything that a paper says it prints has an artifact."""
    held = {(paper_name(name), artifact.printed) for name, artifact in catalogue.artifacts.items()}
    for name, paper in catalogue.papers.items():
        for place in paper.prints.places():
            if (name, place) not in held:
                raise SpecError(
                    f"{catalogue.where('papers', name)}: key prints: no artifact beside it is printed in "
                    f"{place}. Add one that says `printed: {place}`, or take the number out."
                )


def check_values(values: dict[str, Any], options: OptionTable, where: str) -> None:
    """Every value names a declared option and fits it."""
    for key, value in values.items():
        if key not in options:
            raise unknown("option", key, options, where)
        problem = options[key].problem(value)
        if problem:
            raise SpecError(f"{where}: option {key} {problem}. Correct the value and run again.")


def check_settings(catalogue: Catalogue, settings: dict[str, Any], options: OptionTable, where: str) -> None:
    """Every setting fits its option, and the reading and the rival that they may name are such."""
    if READING in settings:
        parse_reading(str(settings[READING]), catalogue.choices, f"{where}: {READING}")
    check_values({key: value for key, value in settings.items() if key != READING}, options, where)
    if TIMED_AGAINST in settings:
        parse_rival(catalogue, settings[TIMED_AGAINST], where)


def check_names(names: Iterable[str], kind: str, known: Iterable[str], where: str) -> None:
    """Every name is a known one; SpecError, with the nearest, at the first that is not."""
    known = set(known)
    for name in names:
        if name not in known:
            raise unknown(kind, name, known, where)


def check_tasks(catalogue: Catalogue, names: Iterable[str], where: str) -> None:
    """Every name is a task's; SpecError, with the nearest task or set of tasks, at the first that is not."""
    for name in names:
        if name not in catalogue.tasks:
            raise unknown("task", name, [*catalogue.tasks, *catalogue.sets], where)


def _check_no_overlap(catalogue: Catalogue, method: str, task: str) -> None:
    family = catalogue.tasks[task]
    protocol = catalogue.protocols[family.protocol]
    groups = [
        family.environment_options,
        family.data_options,
        family.model_options,
        protocol.options,
        protocol.drawn,
        catalogue.method_options[method],
    ]
    seen: set[str] = set()
    for group in groups:
        both = seen & set(group)
        if both:
            raise SpecError(
                f"{catalogue.where('methods', method)} and {catalogue.where('tasks', family.family)}: option "
                f"{sorted(both)[0]} is declared twice for {task}; one name has one meaning."
            )
        seen |= set(group)


def _check_budget(catalogue: Catalogue, budget: Budget, where: str) -> None:
    tasks = catalogue.tasks if budget.tasks == ANY else budget.tasks
    methods = catalogue.methods if budget.methods == ANY else budget.methods
    check_tasks(catalogue, tasks, where)
    check_names(methods, "method", catalogue.methods, where)
    if TIMED_AGAINST in budget.options:
        raise SpecError(
            f"{where}: option {TIMED_AGAINST}: a cell's name has to say what it is timed against. Set it in "
            "the settings of an artifact's cells, and list it in the settings of the budget."
        )
    variants = () if isinstance(budget.variants, str) else budget.variants
    known: set[str] = set()
    for task in tasks:
        for method in methods:
            options = catalogue.options(task, method)
            check_values(budget.options, options, where)
            _check_nothing_drawn(catalogue, budget, task, where)
            known |= set(options)
            for ranges in variants:
                _check_ranges(ranges, options, f"{where}: key settings ({method} on {task})")
    for ranges in variants:
        check_names(ranges, "option", known | {READING}, f"{where}: key settings")
        for name in _values_of(ranges.get(READING, ())):
            parse_reading(str(name), catalogue.choices, f"{where}: key settings.{READING}")


def _check_nothing_drawn(catalogue: Catalogue, budget: Budget, task: str, where: str) -> None:
    """A tier spends nothing on how numbers are read off records, so that it has no say in it."""
    drawn = catalogue.protocols[catalogue.tasks[task].protocol].drawn.keys() & budget.options.keys()
    if drawn:
        raise SpecError(
            f"{where}: key options: {min(drawn)} is how a number is read off a record, and costs nothing. "
            f"Make it a setting of the artifact, or the default of protocol {catalogue.tasks[task].protocol}."
        )


def _check_ranges(ranges: Ranges, options: OptionTable, where: str) -> None:
    """The values that a budget allows an option to have are ones that it can have."""
    for key in ranges.keys() & options.keys():
        for value in _values_of(ranges[key]):
            check_values({key: value}, options, where)


def _values_of(values: tuple[Value, ...] | Literal["any"]) -> tuple[Value, ...]:
    """The values that a budget writes out: none if it allows any."""
    return () if isinstance(values, str) else values


def _check_query(catalogue: Catalogue, query: CellQuery, where: str) -> None:
    check_tasks(catalogue, query.tasks, f"{where}: key tasks")
    check_names(query.methods, "method", catalogue.methods, f"{where}: key methods")
    check_names(query.metrics, "metric", catalogue.metrics, f"{where}: key metrics")
    for task in query.tasks:
        for method in query.methods:
            options = catalogue.options(task, method)
            check_names(query.options, "option", options, f"{where}: key options ({method} on {task})")
            for key, value in query.settings.items():
                for single in value if isinstance(value, tuple) else (value,):
                    on = f"{where}: key settings ({method} on {task})"
                    check_settings(catalogue, {key: single}, options, on)
            check_shared(
                catalogue, task, method, query.settings, f"{where}: key settings ({method} on {task})"
            )


def _check_artifact(catalogue: Catalogue, name: str, artifact: Artifact) -> None:
    where = catalogue.where("artifacts", name)
    every: list[set[str]] = []
    for number, block in enumerate(artifact.cells):
        for query in block.queries:
            variant = f".variants.{query.label}" if block.variants else ""
            _check_query(catalogue, query, f"{where}: key cells.{number}{variant}")
            every += [
                set(catalogue.options(task, method)) for task in query.tasks for method in query.methods
            ]
    # A panel or a row needs a name for each cell, so that each has to have the option.
    fields = {"task", "method", "metric", READING} | set.intersection(*every)
    check_names(artifact.layout.named_fields, "field", fields, f"{where}: key layout")
    artifact.layout.check(artifact, where)
    check_names(artifact.printed_in, "artifact", catalogue.artifacts, f"{where}: key printed_in")
    declared = catalogue.paper_of(name).open_choices
    for number, choice in enumerate(artifact.open_choices):
        key = next((key for key, one in declared.items() if one is choice), "")
        paper = catalogue.where("papers", paper_name(name))
        written = f"{paper}: key open_choices.{key}.option (named by {name})"
        here = f"{where}: key open_choices.{number}.option"
        check_names([choice.option], "option", set.union(*every), written if key else here)


def _check_open_choices(catalogue: Catalogue) -> None:
    """Every open choice that a paper declares is named by one of its artifacts."""
    for paper, declared in catalogue.papers.items():
        named = [
            choice
            for name, artifact in catalogue.artifacts.items()
            if paper_name(name) == paper
            for choice in artifact.open_choices
        ]
        for key, choice in declared.open_choices.items():
            if not any(choice is one for one in named):
                raise SpecError(
                    f"{catalogue.where('papers', paper)}: key open_choices.{key}: no artifact beside it "
                    "names this choice. Name it in the artifacts that it concerns, or remove it."
                )
