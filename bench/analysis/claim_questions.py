"""A comparison of a claim as questions that have one answer each, with the numbers that answer them.

A comparison is one question, or one for each of its tasks. A task that does not pass a gate, or has too few
seeds, decides nothing and is left out by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
import pandas as pd

from bench.analysis.claim_scope import numbers_said
from bench.analysis.claim_values import Numbers, Pairs, Rows, Unit, pairs_on, side_values, why_absent
from bench.analysis.intervals import FEWEST_UNITS, Estimate, Floats, exact, moments, over_groups, over_units
from bench.analysis.statistics import summarise
from bench.catalogue.catalogue import Catalogue
from bench.catalogue.strict import Value
from bench.work.busy import BUSY
from bench.work.claim import Comparison, Gate, Side
from bench.work.claims import is_ratio


@dataclass(frozen=True)
class Group:
    """The effects on one task, one a unit, and what they are made of: (2, units), first above second."""

    task: str
    units: tuple[Unit, ...]
    effects: Floats
    values: Floats


@dataclass(frozen=True)
class Question:
    """A comparison on the tasks that may decide it.

    `left_out` says of others why they may not, and `absent` of one that has no number why it should have one.
    """

    comparison: Comparison
    groups: tuple[Group, ...]
    left_out: Mapping[str, str]
    is_exact: bool
    absent: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 0.0
    steps: tuple[int, ...] = ()
    read: pd.DataFrame = field(default_factory=pd.DataFrame)
    busy: float = math.nan

    @property
    def tasks(self) -> list[str]:
        """The tasks that decide it."""
        return [group.task for group in self.groups]

    @property
    def units(self) -> int:
        """What an interval counts: its tasks, or the seeds or turns of all of them."""
        if self.comparison.over == "tasks":
            return len(self.groups)
        return sum(len(group.units) for group in self.groups)

    @property
    def unit(self) -> str:
        """What a unit is called."""
        if not self.groups:
            return ""
        if self.comparison.over == "tasks":
            return "task"
        if self.is_exact:
            return "reading" if self.tolerance else "count"
        return self.groups[0].units[0][0]

    @property
    def is_decidable(self) -> bool:
        """Whether there is enough for an interval."""
        return bool(self.groups) and (self.is_exact or self._fewest >= FEWEST_UNITS)

    @property
    def _fewest(self) -> int:
        if self.comparison.over == "tasks":
            return len(self.groups)
        return min((len(group.units) for group in self.groups), default=0)

    @property
    def too_few(self) -> str:
        """Why there is no interval."""
        return f"{self._fewest} {self.unit}{'s' * (self._fewest != 1)}; an interval needs {FEWEST_UNITS}"

    @property
    def why_left_out(self) -> str:
        """Why each task decides nothing; empty where none was left out."""
        return "; ".join(f"{task}: {why}" for task, why in self.left_out.items())

    @property
    def why_absent(self) -> str:
        """Why each task has no number that should have one; empty for none."""
        return "; ".join(f"{task}: {why}" for task, why in self.absent.items())

    @property
    def task(self) -> str:
        """The only task it is about; empty for one about several."""
        about = [*self.tasks, *self.left_out, *self.absent]
        return about[0] if len(about) == 1 and (self.comparison.each or self.absent) else ""

    @property
    def is_busy(self) -> bool:
        """Whether its times were taken on a machine that did something else as well."""
        return not self.is_exact and self.busy > BUSY

    @property
    def steps_said(self) -> str:
        """The part of the values of `along` that growth was fitted over; empty where that is all of them."""
        along = self.comparison.along
        if along is None or set(self.steps) == set(along.values):
            return ""
        return f"at a {along.option.replace('_', ' ')} of {numbers_said(self.steps, along.values)}"

    @property
    def mean(self) -> float:
        """The effect, on the estimate's scale."""
        return float(np.mean([group.effects.mean() for group in self.groups]))

    def estimate(self, catalogue: Catalogue) -> Estimate | None:
        """The effect with what its interval is made of; None for too few units."""
        if self.is_exact:
            return exact([float(group.effects.mean()) for group in self.groups], self.tolerance)
        if not self.is_decidable:
            return None
        means, variances = zip(*(moments(group.effects) for group in self.groups), strict=True)
        if self.comparison.over == "tasks":
            return over_units(*moments(np.stack(means)), len(self.groups))
        return over_groups(means, variances, [len(group.units) for group in self.groups])


def questions_of(numbers: Numbers, comparison: Comparison, more: Mapping[str, Value]) -> list[Question]:
    """What a comparison asks; at least one question, which has no groups if nothing was run."""
    found = [_on_task(numbers, comparison, number, more) for number in range(len(comparison.tasks))]
    if comparison.each:
        return [one for one in found if one.groups or one.left_out or one.absent] or found[:1]
    absent = [one for one in found if one.absent]
    whole = _together(comparison, found)
    return [whole, *absent] if whole.groups or whole.left_out else absent or [whole]


def _together(comparison: Comparison, found: list[Question]) -> Question:
    if comparison.over == "seeds" and not found[0].is_exact:
        found = [_without_few(one) for one in found] if any(one.is_decidable for one in found) else found
    asked = [one for one in found if one.groups]
    spreads = [one.busy for one in asked if not math.isnan(one.busy)]
    frames = [one.read for one in found if not one.read.empty]
    return Question(
        comparison,
        tuple(chain.from_iterable(one.groups for one in found)),
        {task: why for one in found for task, why in one.left_out.items()},
        found[0].is_exact,
        tolerance=max(one.tolerance for one in found),
        steps=tuple(sorted({step for one in asked for step in one.steps})),
        read=pd.concat(frames) if frames else pd.DataFrame(),
        busy=max(spreads, default=math.nan),
    )


def _without_few(question: Question) -> Question:
    """A task with too few seeds cannot say how far they spread, and is left out where others can."""
    if not question.groups or question.is_decidable:
        return question
    left_out = {group.task: question.too_few for group in question.groups}
    return replace(question, groups=(), left_out={**question.left_out, **left_out}, busy=math.nan)


def _on_task(numbers: Numbers, comparison: Comparison, number: int, more: Mapping[str, Value]) -> Question:
    catalogue, rows, task = numbers.catalogue, Rows(numbers), comparison.tasks[number]
    metric = catalogue.metrics[comparison.metric]
    pairs: dict[int, Pairs] = {}
    for value, step in enumerate(comparison.steps()):
        if found := pairs_on(rows, comparison, number, {**more, **step}):
            pairs[comparison.along.values[value] if comparison.along else 0] = found
    is_exact = metric.is_cost and (metric.deterministic or metric.tolerance > 1.0)
    if not pairs or (comparison.along and len(pairs) < FEWEST_UNITS):
        why = why_absent(rows, comparison, number, {**more, **comparison.steps()[0]})
        return Question(comparison, (), {}, is_exact, {task: why} if why else {})
    group, factor = _group(catalogue, comparison, task, pairs)
    read = pd.concat(rows.read)
    failed = [why for gate in comparison.gates if (why := _fails(rows, comparison, gate, number, more))]
    # A side made of two readings is trusted within the square of what one is.
    readings = max(1.0, len(comparison.sides()) / 2)
    tolerance = factor * readings * math.log(metric.tolerance)
    return Question(
        comparison,
        () if failed else (group,),
        {task: "; ".join(failed)} if failed else {},
        is_exact,
        tolerance=tolerance,
        steps=tuple(pairs) if comparison.along else (),
        read=read,
        busy=_busy(read) if metric.timed else math.nan,
    )


def _group(
    catalogue: Catalogue, comparison: Comparison, task: str, pairs: Mapping[int, Pairs]
) -> tuple[Group, float]:
    """The effects on a task, and how much of a reading's tolerance each of them has."""
    if comparison.along is None:
        (one,) = pairs.values()
        first, second = one.values
        effects = np.log(first / second) if is_ratio(catalogue, comparison) else first - second
        return Group(task, one.units, effects, one.values), 1.0
    weights = _slope_weights(np.array(list(pairs), dtype=float))
    shared = sorted(set.intersection(*(set(one.units) for one in pairs.values())))
    at = [[one.units.index(unit) for unit in shared] for one in pairs.values()]
    firsts, seconds = (
        np.stack([one.values[side][where] for one, where in zip(pairs.values(), at, strict=True)])
        for side in (0, 1)
    )
    exponents = np.stack([weights @ np.log(firsts), weights @ np.log(seconds)])
    return Group(task, tuple(shared), exponents[0] - exponents[1], exponents), float(np.abs(weights).sum())


def _slope_weights(values: Floats) -> Floats:
    """What least squares multiplies the logarithms at each value with, for the exponent."""
    centred = np.log(values) - np.log(values).mean()
    return np.asarray(centred / (centred @ centred))


def _fails(rows: Rows, comparison: Comparison, gate: Gate, number: int, more: Mapping[str, Value]) -> str:
    """Why a task may not decide, by one gate; empty if it may."""

    def of(side: Side) -> dict[Unit, float]:
        return side_values(rows, side, gate.metric, comparison.tasks, number, more)

    if gate.of:
        named = {"first": comparison.first, "second": comparison.second}
        sides = [side for one in gate.of if isinstance(side := named[one], Side)]
        found = [np.array(list(of(side).values())) for side in sides]
    else:
        assert gate.first is not None
        own = of(gate.first)
        other = of(gate.second) if gate.second else dict.fromkeys(own, 0.0)
        found = [np.array([own[unit] - other[unit] for unit in sorted(own.keys() & other.keys())])]
    known = [values for values in found if len(values) >= FEWEST_UNITS]
    if not known:
        return f"not known whether {gate.says}"
    if any(summarise(values).low > gate.above for values in known):
        return ""
    return f"not shown that {gate.says}"


def _busy(read: pd.DataFrame) -> float:
    if "wall_over_processor" not in read or read["wall_over_processor"].isna().all():
        return math.nan
    return float(read["wall_over_processor"].max())
