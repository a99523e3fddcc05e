"""What a cell has in the place of defaults, by its reading and by settings of its own; and the name of both.

A reading is a set of other defaults. The choices of scale that `code` has, such as the number of updates,
give way to a tier's budget. Other choices, and those that are turned by name, are settings in all but their
spelling: they win over a budget, and `reading: text+padding` and `padding: attended` are one cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

from bench.catalogue.catalogue import Catalogue
from bench.catalogue.choices import CODE, TEXT, ReadingName
from bench.catalogue.strict import Value
from bench.catalogue.values import choices_on, defaults, exact, read_values

NOTHING: frozenset[str] = frozenset()
Settings = tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Asked:
    """The choices of scale that are the code's, and the values that win over a budget."""

    task: str
    method: str
    scale: frozenset[str]
    held: Mapping[str, Value]

    def usual(self, catalogue: Catalogue) -> dict[str, Any]:
        """Every option's value before a tier and without what is held."""
        own = read_values(catalogue, self.task, self.method, ReadingName(turned=self.scale), scale=True)
        return defaults(catalogue, self.task, self.method or None) | own

    def values(self, catalogue: Catalogue) -> dict[str, Any]:
        """Every option's value before a tier."""
        return self.usual(catalogue) | dict(self.held)


def ask(
    catalogue: Catalogue, task: str, method: str, reading: ReadingName, settings: Mapping[str, Value]
) -> Asked:
    """What a reading and settings ask for; what changes nothing on this task is left out."""
    held = read_values(catalogue, task, method, reading, scale=False)
    scale: set[str] = set()
    if reading.base == TEXT:
        # What is turned by its name is asked for as a setting is.
        held |= read_values(catalogue, task, method, reading, scale=True)
    else:
        choices = choices_on(catalogue, task, method)
        scale = {name for name, one in choices.items() if one.scale and reading.takes_code(name)}
    held |= exact(settings, catalogue.options(task, method or None))
    asked = Asked(task, method, frozenset(scale), {})
    usual = asked.usual(catalogue)
    return replace(asked, held={key: value for key, value in held.items() if usual[key] != value})


def name_of(catalogue: Catalogue, asked: Asked, ignored: Set[str] = NOTHING) -> tuple[str, Settings]:
    """The shorter name for what is asked: a reading, empty for `text`, and the settings that depart from it.

    `ignored` options may have any value.
    """
    choices = choices_on(catalogue, asked.task, asked.method)
    scale = {name for name, one in choices.items() if one.scale and not set(one.options) <= ignored}
    readings = [ReadingName(CODE, frozenset(scale - asked.scale))]
    if not scale & asked.scale:
        readings.insert(0, ReadingName())
    names = [(reading, _departing(catalogue, asked, reading.base, ignored)) for reading in readings]
    reading, settings = min(names, key=_length)
    return "" if reading == ReadingName() else reading.text, settings


def _length(name: tuple[ReadingName, Settings]) -> int:
    reading, settings = name
    return len(settings) + len(reading.turned) + (reading.base == CODE)


def _departing(catalogue: Catalogue, asked: Asked, base: str, ignored: Set[str]) -> Settings:
    """The values that differ from what `text` or `code` holds, but for the ignored options, by name."""
    values = asked.values(catalogue)
    held = read_values(catalogue, asked.task, asked.method, ReadingName(base), scale=False)
    under = asked.usual(catalogue) | held
    differing = (key for key in values if key not in ignored and values[key] != under[key])
    return tuple((key, values[key]) for key in sorted(differing))


def departures(
    catalogue: Catalogue, asked: Asked, reading: ReadingName
) -> tuple[dict[str, Value], dict[str, Any]]:
    """The values that differ from those of a reading, and every option's value under it."""
    other = ask(catalogue, asked.task, asked.method, reading, {}).values(catalogue)
    own = asked.values(catalogue)
    return {key: value for key, value in own.items() if value != other[key]}, other
