"""A claim of a paper as data: the pydantic model of `claims/<paper>_<name>.yaml`.

What decides a verdict is written down here and nowhere else: the tasks a sentence speaks of, the units that
an interval counts, the smallest effect that counts and why, what a task has to show before it may decide
anything, and the choice a verdict turns on.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from bench.catalogue.catalogue import Catalogue
from bench.catalogue.choices import READING
from bench.catalogue.names import Tasks
from bench.catalogue.strict import Name, OptionName, Strict, Value
from bench.work.cells import Cell, make_cell

Settings = Mapping[str, Value]
NO_SETTINGS: Settings = {}
# Digits of a digest that a claim's file carries.
DIGITS = 12


class Side(Strict):
    """One side of a comparison: a method with settings on each task, as such or against a baseline.

    `tasks` names this side's own tasks, in the order of the comparison's, where they differ
    (delayed beside dense rewards). `metric` is another than the comparison's: what a model has before its
    training, say. `against` is subtracted from it, or divides it on a ratio scale.
    """

    method: Name
    settings: dict[OptionName, Value] = Field(default={})
    tasks: Tasks = ()
    metric: OptionName = ""
    times: float = Field(default=1.0, gt=0)
    against: Side | None = None

    def cells(
        self, catalogue: Catalogue, tasks: tuple[Name, ...], more: Settings = NO_SETTINGS
    ) -> list[Cell]:
        """Its cell on each task of the comparison; of `more` settings it takes those that it has."""
        return [self.cell(catalogue, tasks, number, more) for number in range(len(self.tasks or tasks))]

    def cell(
        self, catalogue: Catalogue, tasks: tuple[Name, ...], number: int, more: Settings = NO_SETTINGS
    ) -> Cell:
        """Its cell on the task of this number."""
        task = (self.tasks or tasks)[number]
        options = catalogue.options(task, self.method)
        own = {key: value for key, value in more.items() if key in options or key == READING}
        return make_cell(catalogue, task, self.method, own | self.settings)

    def parts(self) -> Iterator[Side]:
        """Itself and what it stands against."""
        yield self
        if self.against:
            yield from self.against.parts()


class Gate(Strict):
    """What a task has to show before it may decide a comparison, tested on the same seeds.

    `of` names the comparison's own sides, one of which has to pass; else `first` is set against `second`, as
    in a positive control. It passes if the 95 % interval of the mean, or of the difference, lies above
    `above`.
    """

    says: str
    metric: OptionName
    of: tuple[Literal["first", "second"], ...] = ()
    first: Side | None = None
    second: Side | None = None
    above: float

    @model_validator(mode="after")
    def _of_one_kind(self) -> Gate:
        if bool(self.of) == bool(self.first) or (self.second and not self.first):
            raise ValueError("a gate names either sides of the comparison (`of`) or a `first` of its own")
        return self


class Along(Strict):
    """An option over whose values growth is fitted: the effect is the exponent of value^exponent."""

    option: OptionName
    values: tuple[int, ...] = Field(min_length=3)


class Comparison(Strict):
    """Two sides on the same tasks, what is expected of their difference, and the smallest that counts.

    Metrics of a probe (sizes, times) are compared by ratio, scores by difference; `smallest` is in that unit.
    `more`: the effect is above it. `equal`: the effect lies within it, either way. `over` says what an
    interval is made over: the seeds, of these tasks and no others, or the tasks, each with the mean of its
    seeds, where the sentence speaks of tasks in general. With `each`, every task has a verdict of its own.
    `matched` says at which checkpoints two trainings meet: after equal numbers of updates, or after equal
    training time.
    """

    label: str
    tasks: Tasks
    metric: OptionName
    first: Side
    second: Side | float
    expect: Literal["more", "equal"]
    smallest: float
    over: Literal["seeds", "tasks"] = "seeds"
    each: bool = False
    gates: tuple[Gate, ...] = ()
    along: Along | None = None
    matched: Literal["updates", "training-time"] = "updates"
    condition: str = ""

    @model_validator(mode="after")
    def _holds_together(self) -> Comparison:
        for side in [*self.sides(), *(side for side, _ in self.gate_sides())]:
            if side.tasks and len(side.tasks) != len(self.tasks):
                raise ValueError(
                    f"a side's own tasks stand for the comparison's one by one: {len(side.tasks)} for "
                    f"{len(self.tasks)}"
                )
        if self.each and self.over == "tasks":
            raise ValueError("a verdict for each task cannot be made over tasks: leave `each` or `over` out")
        if self.gates and self.along:
            raise ValueError("growth has no gates: leave `gates` or `along` out")
        if isinstance(self.second, float) and any("second" in gate.of for gate in self.gates):
            raise ValueError(
                "a gate of `second` needs a method there, and it is a number: leave it out of `of`"
            )
        return self

    def sides(self) -> list[Side]:
        """Every side and what it stands against."""
        sides = [self.first] if isinstance(self.second, float) else [self.first, self.second]
        return [part for side in sides for part in side.parts()]

    def gate_sides(self) -> list[tuple[Side, OptionName]]:
        """Every side that its gates look at, with the metric."""
        named = {"first": self.first, "second": self.second}
        found: list[tuple[Side, OptionName]] = []
        for gate in self.gates:
            sides = (gate.first, gate.second, *(named[one] for one in gate.of))
            found += [(side, gate.metric) for side in sides if isinstance(side, Side)]
        return found

    def steps(self) -> list[dict[str, Value]]:
        """The settings at which it reads its cells: one, or one for each value that growth is fitted over."""
        return [{self.along.option: value} for value in self.along.values] if self.along else [{}]


class Registration(Strict):
    """The day from which on a claim was decided in this way, and by which digest."""

    date: datetime.date
    digest: str
    why: str


class Claim(Strict):
    """A sentence of a paper, in our words, and the comparisons that all have to hold for it.

    `shared` holds what every comparison has, such as its tasks, unless the comparison says it itself.
    `reason` says why the smallest effect is the one it is, `tuning` how far each method was tuned.
    Comparisons that differ in their `condition` ask under which form of the choice `turns_on` it holds.
    `specifications` are open choices, by name, under each of which the claim is asked again.
    """

    title: str
    section: str
    says: str
    reason: str = ""
    tuning: str = ""
    turns_on: str = ""
    specifications: dict[str, dict[OptionName, Value]] = Field(default={})
    shared: dict[str, Any] = Field(default={})
    comparisons: tuple[Comparison, ...] = Field(min_length=1)
    registered: tuple[Registration, ...] = ()
    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def _with_what_is_shared(cls, given: Any) -> Any:
        shared = given.get("shared") if isinstance(given, dict) else None
        comparisons = given.get("comparisons") if isinstance(given, dict) else None
        if not isinstance(shared, dict) or not isinstance(comparisons, list):
            return given
        whole = [{**shared, **one} if isinstance(one, dict) else one for one in comparisons]
        return {**given, "comparisons": whole}

    @model_validator(mode="after")
    def _conditions_are_of_a_choice(self) -> Claim:
        names = [(one.label, one.condition) for one in self.comparisons]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"two comparisons are labelled {twice[0]!r}: give each a label of its own")
        conditions = {comparison.condition for comparison in self.comparisons}
        if (conditions != {""}) != bool(self.turns_on) or (self.turns_on and "" in conditions):
            raise ValueError(
                "`turns_on` names the choice that the `condition` of each comparison is a form of: give "
                "both, or neither"
            )
        return self

    def digest(self) -> str:
        """What decides it, as a short hash: tasks, sides, units, thresholds, gates, conditions."""
        decides = self.model_dump_json(include={"comparisons", "specifications", "turns_on"})
        return hashlib.sha256(decides.encode()).hexdigest()[:DIGITS]
