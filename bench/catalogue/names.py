"""What a file under `workflow/` may name instead of writing it out, and how such names are read.

A name is expanded while its file is read. What comes after sees lists of tasks, open choices and values as
if they had been written out: no cell and no fingerprint knows of names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo

from bench.catalogue.strict import Name, Value

ANY = "any"


@dataclass(frozen=True)
class Names:
    """What is declared once and may be named in the file that is being read."""

    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of tasks
    # Those of the paper whose artifact is read, by key.
    open_choices: Mapping[str, Any] = field(default_factory=dict)
    # Those of the suite's tier that a lab's own file adds to.
    recipes: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)


def names_of(info: ValidationInfo) -> Names:
    """The names that may be used in the file; none if a model is made by code."""
    return info.context or Names()


def written_out(names: Any, sets: Mapping[str, tuple[str, ...]]) -> Any:
    """The names with the tasks of each set in its place, in order. Anything but names stays as it is."""
    listed = [names] if isinstance(names, str) else names
    if names == ANY or not isinstance(listed, list | tuple):
        return names
    return tuple(
        task for name in listed for task in (sets.get(name, (name,)) if isinstance(name, str) else (name,))
    )


def _tasks(given: object, info: ValidationInfo) -> object:
    return written_out(given, names_of(info).sets)


_Tasks = Annotated[tuple[Name, ...], Field(min_length=1)]
# A list of tasks and sets of tasks, or one such name.
Tasks = Annotated[_Tasks, BeforeValidator(_tasks, json_schema_input_type=Name | _Tasks)]
AnyTasks = Annotated[
    _Tasks | Literal["any"], BeforeValidator(_tasks, json_schema_input_type=Name | _Tasks | Literal["any"])
]
