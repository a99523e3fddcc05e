"""The values of options on a task: their defaults, and what a reading of the papers sets in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.catalogue.catalogue import Catalogue
from bench.catalogue.choices import Choice, ReadingName
from bench.catalogue.models import OptionTable
from bench.catalogue.once import once
from bench.catalogue.strict import Value
from bench.errors import SpecError


def defaults(catalogue: Catalogue, task: str, method: str | None) -> dict[str, Any]:
    """Resolved values before any tier or setting: option defaults, then task, then per-task values."""
    return dict(_defaults(catalogue, task, method))


@once
def _defaults(catalogue: Catalogue, task: str, method: str | None) -> dict[str, Any]:
    values = {name: option.default for name, option in catalogue.options(task, method).items()}
    values |= catalogue.tasks[task].values
    if method:
        for override in catalogue.methods[method].per_task:
            if task in override.tasks:
                values |= override.values_given(values)
    return exact(values, catalogue.options(task, method))


def typed(text: str, default: Value, where: str) -> Value:
    """A value as a name or a command line writes it, in the type of its option; SpecError if it is none."""
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise SpecError(f"{where}: expected true or false, got {text!r}.")
        return text == "true"
    try:
        return type(default)(text)
    except ValueError:
        raise SpecError(f"{where}: expected {type(default).__name__}, got {text!r}.") from None


def exact(values: Mapping[str, Any], options: OptionTable) -> dict[str, Any]:
    """The values in the types of their options: a 1 written for a 1.0 would name the same cell twice."""
    return {key: float(v) if isinstance(options[key].default, float) else v for key, v in values.items()}


def concerns(catalogue: Catalogue, choice: Choice, task: str, method: str) -> bool:
    """Whether a choice sets options of a method on a task; without a method, of the task itself."""
    return (
        bool(choice.values)
        and (not choice.tasks or task in choice.tasks)
        and (not choice.methods or method in choice.methods)
        and set(choice.options) <= catalogue.options(task, method or None).keys()
    )


@once
def choices_on(catalogue: Catalogue, task: str, method: str) -> dict[str, Choice]:
    """The choices that separate the readings of a method on a task, by name."""
    return {
        name: choice
        for name, choice in catalogue.choices.items()
        if concerns(catalogue, choice, task, method)
    }


def read_values(
    catalogue: Catalogue, task: str, method: str, reading: ReadingName, scale: bool
) -> dict[str, Any]:
    """What a reading sets in the place of defaults: by its choices of `scale`, or by all the others."""
    values: dict[str, Any] = {}
    for name, choice in choices_on(catalogue, task, method).items():
        if choice.scale == scale and reading.takes_code(name):
            assert choice.values is not None
            values |= choice.values.code
    return exact(values, catalogue.options(task, method or None))
