"""Cross-checks of the papers' readings: `text` is what options are by default, and none is in two choices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.catalogue.catalogue import Catalogue
from bench.catalogue.check import check_names, check_tasks, check_values
from bench.catalogue.choices import READING, Choice, PaperReadings
from bench.catalogue.values import choices_on, concerns, defaults, exact
from bench.errors import SpecError


def options_of(readings: dict[str, PaperReadings], where: dict[str, str]) -> dict[str, Choice]:
    """The choices of all papers that became options; SpecError where two papers call theirs the same."""
    found: dict[str, Choice] = {}
    papers: dict[str, str] = {}
    for paper, declared in readings.items():
        for name, choice in declared.options.items():
            if name in found:
                raise SpecError(
                    f"{where[paper]}: key choices.{name}: also declared by {where[papers[name]]}, and a "
                    "reading names a choice without its paper. Rename one of them."
                )
            found[name], papers[name] = choice, paper
    return found


def check_choices(catalogue: Catalogue) -> None:
    """Raise SpecError, naming file and choice, at the first that does not hold together."""
    _check_no_option_called_reading(catalogue)
    for paper, declared in catalogue.readings.items():
        for name, choice in declared.options.items():
            where = f"{catalogue.where('readings', paper)}: key choices.{name}"
            check_names(choice.methods, "method", catalogue.methods, f"{where}.methods")
            check_tasks(catalogue, choice.tasks, f"{where}.tasks")
            _check_options(catalogue, choice, where)
    for task in catalogue.tasks:
        for method in ("", *catalogue.methods):
            _check_one_choice_an_option(catalogue, task, method)


def _check_no_option_called_reading(catalogue: Catalogue) -> None:
    for task in catalogue.tasks:
        for method in catalogue.methods:
            if READING in catalogue.options(task, method):
                raise SpecError(
                    f"{catalogue.where('methods', method)}: an option of {method} on {task} is called "
                    f"{READING!r}, which settings say of the reading of a cell. Rename the option."
                )


def _check_options(catalogue: Catalogue, choice: Choice, where: str) -> None:
    """Methods and tasks have the options; `text` has their defaults, and `code` values that they can have."""
    assert choice.values is not None
    methods = choice.methods or ("",)
    for method in methods:
        pairs = [
            task for task in choice.tasks or catalogue.tasks if concerns(catalogue, choice, task, method)
        ]
        lacking = sorted(set(choice.tasks) - set(pairs))
        if lacking or not pairs:
            on = f"{lacking[0]} lacks an option" if lacking else "no task has all options"
            raise SpecError(
                f"{where}.values: {on} of {', '.join(choice.options)}{f' of {method}' if method else ''}. "
                "Correct their names, or say in methods and tasks where they are."
            )
        for task in pairs:
            options = catalogue.options(task, method or None)
            on = f"({method} on {task})" if method else f"({task})"
            check_values(choice.values.code, options, f"{where}.values.code {on}")
            check_values(choice.values.text, options, f"{where}.values.text {on}")
            _check_default(exact(choice.values.text, options), defaults(catalogue, task, method or None),
                           f"{where}.values.text {on}")  # fmt: skip
            _check_scale(catalogue, choice, task, f"{where}.scale")


def _check_default(text: dict[str, Any], usual: dict[str, Any], where: str) -> None:
    for option, value in text.items():
        if usual[option] != value:
            raise SpecError(
                f"{where}: option {option} is {value!r}, and by default {usual[option]!r}: `text` is what a "
                "method is by default. Correct the value, or the default."
            )


def _check_scale(catalogue: Catalogue, choice: Choice, task: str, where: str) -> None:
    """A dataset belongs to all methods, so that no method's scale is a part of its name."""
    data = set(choice.options) & set(catalogue.tasks[task].data_names)
    if choice.scale and choice.methods and data:
        raise SpecError(
            f"{where}: option {min(data)} is one of the data of {task}, which all methods share. Leave "
            "methods out, or scale."
        )


def _check_one_choice_an_option(catalogue: Catalogue, task: str, method: str) -> None:
    for option, names in _setters(catalogue, task, method):
        if len(names) > 1:
            on = f"{method} on {task}" if method else task
            raise SpecError(
                f"{_file_of(catalogue, names[1])}: key choices.{names[1]}: option {option} of {on} is also "
                f"set by choice {names[0]} of {_file_of(catalogue, names[0])}. Let one of them name other "
                "methods or tasks."
            )


def _setters(catalogue: Catalogue, task: str, method: str) -> Iterator[tuple[str, list[str]]]:
    """Option -> the choices that set it."""
    found: dict[str, list[str]] = {}
    for name, choice in choices_on(catalogue, task, method).items():
        for option in choice.options:
            found.setdefault(option, []).append(name)
    yield from found.items()


def _file_of(catalogue: Catalogue, choice: str) -> str:
    papers = [paper for paper, declared in catalogue.readings.items() if choice in declared.choices]
    return catalogue.where("readings", papers[0])
