"""The two readings of a paper as data: `papers/<paper>/readings.yaml`, and the names that readings go by.

Under `text` a method is what its paper says, and what the authors' code does where the paper is silent; under
`code` it is what that code does. What separates the two is a list of choices. An option has the value of
`text` by default, and `code` sets all choices to the other one. A name may turn single choices:
`text+padding` is `text` with that choice from the code, and `code+padding` is `code` with it from the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from bench.catalogue.models import Values
from bench.catalogue.names import Tasks
from bench.catalogue.paper import OpenChoice
from bench.catalogue.strict import Name, Strict
from bench.errors import SpecError, unknown

TEXT, CODE = "text", "code"
BASES = (TEXT, CODE)
# What settings call the reading of a cell: no option may be called so.
READING = "reading"
# Set by Snakemake's config key `reading`: the reading of whatever does not name one.
VARIABLE = "BENCH_READING"
# Between the name of a reading and the choices that it turns.
TURN = "+"


@dataclass(frozen=True)
class ReadingName:
    """`text` or `code`, and the choices in which it is the other one."""

    base: str = TEXT
    turned: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """As it is written: the reading, then its choices by name."""
        return TURN.join([self.base, *sorted(self.turned)])

    def takes_code(self, choice: str) -> bool:
        """Whether it has the value of the code in a choice."""
        return (self.base == CODE) != (choice in self.turned)

    def within(self, choices: Iterable[str]) -> ReadingName:
        """The same, of these choices alone."""
        return ReadingName(self.base, self.turned & frozenset(choices))


def parse_reading(name: str, choices: Iterable[str], where: str) -> ReadingName:
    """The reading of a name; SpecError, with the nearest known one, if it or a choice is unknown."""
    base, *turned = name.split(TURN)
    if base not in BASES:
        raise unknown("reading", base, BASES, where, every=True)
    known = frozenset(choices)
    for choice in turned:
        if choice not in known:
            raise unknown("choice of a reading", choice, known, where)
    if len(set(turned)) < len(turned):
        raise SpecError(f"{where}: reading {name!r} names a choice twice. Name each of them once.")
    return ReadingName(base, frozenset(turned))


class Differing(Strict):
    """The values of a choice's options under either reading."""

    text: Values = Field(min_length=1)
    code: Values = Field(min_length=1)

    @model_validator(mode="after")
    def _same_options(self) -> Differing:
        if self.text.keys() != self.code.keys():
            lacking = ", ".join(sorted(self.text.keys() ^ self.code.keys()))
            raise ValueError(f"text and code set the same options, and only one of them sets {lacking}")
        if self.text == self.code:
            raise ValueError("text and code set the same values, so that there is no choice")
        return self


class Choice(Strict):
    """One thing that paper and code say differently, or that only one of them says; and what became of it.

    `values` make it an option, for these methods (or all) on these tasks (or all that have the options).
    `default` says why there is one reading, `refused` why the code's is not built. A choice of `scale`, such
    as the number of updates, gives way to what a tier's budget sets; any other one wins over it.
    """

    choice: str = Field(min_length=1)
    text: str = Field(min_length=1)
    code: str = Field(min_length=1)
    source: str = Field(min_length=1)
    methods: tuple[Name, ...] = ()
    tasks: Tasks = ()
    values: Differing | None = None
    scale: bool = False
    default: str = ""
    refused: str = ""

    @property
    def status(self) -> Literal["option", "default", "refused"]:
        """What became of it."""
        return "option" if self.values else "refused" if self.refused else "default"

    @property
    def options(self) -> tuple[str, ...]:
        """The options that it sets."""
        return tuple(self.values.text) if self.values else ()

    @property
    def open_choice(self) -> OpenChoice:
        """The choice as a table shows it; its first option stands for all."""
        return OpenChoice(choice=self.choice, alternatives=(self.text, self.code), option=self.options[0])

    @model_validator(mode="after")
    def _one_status(self) -> Choice:
        if [bool(self.values), bool(self.default), bool(self.refused)].count(True) != 1:
            raise ValueError("a choice has values, or else it says why: default or refused, and one of them")
        if not self.values and (self.methods or self.tasks or self.scale):
            raise ValueError("methods, tasks and scale say where values hold, and this choice has none")
        return self


class Source(Strict):
    """A reading of a paper: how it is called, and what it was read from."""

    title: str = Field(min_length=1)
    source: str = Field(min_length=1)


class PaperReadings(Strict):
    """The whole file: both readings of a paper, and what separates them, by name."""

    text: Source
    code: Source
    choices: dict[Name, Choice] = Field(min_length=1)

    @property
    def options(self) -> dict[str, Choice]:
        """The choices that became options."""
        return {name: choice for name, choice in self.choices.items() if choice.values}
