"""What a cell has in the place of defaults, by its reading and by settings of its own; and the name of both.

A reading is a set of other defaults. Its choices of scale, such as the number of updates, give way to a
tier's budget. Its other choices are settings in all but their spelling: they win over a budget, and a cell
that writes one of them out is the same cell: `reading: text+padding` and `padding: attended` have one name.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from bench.catalogue.catalogue import Catalogue
from bench.catalogue.choices import BASES, CODE, ReadingName
from bench.catalogue.strict import Value
from bench.catalogue.values import choices_on, defaults, exact, read_values

NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Asked:
    """The choices of scale that are the code's, and the values that win over a budget."""

    task: str
    method: str
    scale: frozenset[str]
    held: Mapping[str, Value]

    def usual(self, catalogue: Catalogue) -> dict[str, Any]:
        """Every option's value before a tier and without what is held."""
        reading = ReadingName(turned=self.scale)
        own = read_values(catalogue, self.task, self.method, reading, scale=True)
        return defaults(catalogue, self.task, self.method or None) | own

    def values(self, catalogue: Catalogue) -> dict[str, Any]:
        """Every option's value before a tier."""
        return self.usual(catalogue) | dict(self.held)


def ask(
    catalogue: Catalogue, task: str, method: str, reading: ReadingName, settings: Mapping[str, Value]
) -> Asked:
    """What a reading and settings ask for; what changes nothing on this task is left out."""
    choices = choices_on(catalogue, task, method)
    scale = {name for name, choice in choices.items() if choice.scale and reading.takes_code(name)}
    held = read_values(catalogue, task, method, reading, scale=False)
    held |= exact(settings, catalogue.options(task, method or None))
    usual = Asked(task, method, frozenset(scale), {}).usual(catalogue)
    return Asked(
        task, method, frozenset(scale), {key: value for key, value in held.items() if usual[key] != value}
    )


def name_of(
    catalogue: Catalogue, asked: Asked, ignored: Set[str] = NOTHING
) -> tuple[str, tuple[tuple[str, Value], ...]]:
    """The shorter name for what is asked: a reading, empty for `text`, and the settings that depart from it.

    `ignored` options may have any value.
    """
    names = [_name_under(catalogue, asked, base, ignored) for base in BASES]
    reading, settings = min(
        names, key=lambda name: len(name[1]) + len(name[0].turned) + (name[0].base == CODE)
    )
    return "" if reading == ReadingName() else reading.text, settings


def _name_under(
    catalogue: Catalogue, asked: Asked, base: str, ignored: Set[str]
) -> tuple[ReadingName, tuple[tuple[str, Value], ...]]:
    choices = choices_on(catalogue, asked.task, asked.method)
    scale = {name for name, one in choices.items() if one.scale and not set(one.options) <= ignored}
    reading = ReadingName(base, frozenset(scale - asked.scale if base == CODE else scale & asked.scale))
    usual, values = asked.usual(catalogue), asked.values(catalogue)
    under = usual | read_values(catalogue, asked.task, asked.method, ReadingName(base), scale=False)
    differing = (key for key in values if key not in ignored and values[key] != under[key])
    return reading, tuple((key, values[key]) for key in sorted(differing))


def departures(
    catalogue: Catalogue, asked: Asked, reading: ReadingName
) -> tuple[dict[str, Value], dict[str, Any]]:
    """The values that differ from those of a reading, and every option's value under it."""
    other = ask(catalogue, asked.task, asked.method, reading, {}).values(catalogue)
    own = asked.values(catalogue)
    return {key: value for key, value in own.items() if value != other[key]}, other
