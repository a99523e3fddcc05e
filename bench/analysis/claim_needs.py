"""What a claim reads in a tier, as jobs for so many seeds, and whether seeds can decide it there at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from bench.analysis.intervals import FEWEST_UNITS
from bench.catalogue.strict import OptionName
from bench.work.availability import why_missing, why_unmeasured
from bench.work.cells import Cell, resolve
from bench.work.claim import Claim, Comparison
from bench.work.jobs import Job, make_job
from bench.work.plan import with_upstream
from bench.work.suite import Suite

# A cell and the metric that is read of it.
Read = tuple[Cell, OptionName]


@dataclass(frozen=True)
class Answerable:
    """The part of a comparison that a tier runs; `why` says why that is not enough to decide it."""

    comparison: Comparison
    read: tuple[Read, ...]
    why: str


@dataclass(frozen=True)
class Needs:
    """A claim in a tier, with the part of each comparison that the tier runs."""

    suite: Suite = field(repr=False, compare=False)
    tier: str
    name: str
    claim: Claim
    parts: tuple[Answerable, ...]

    def takes_seeds(self, comparison: Comparison) -> bool:
        """Whether more seeds say more of it: they do of a score, and not of a count or of turns."""
        return not self.suite.catalogue.metrics[comparison.metric].is_cost

    @cached_property
    def by_seeds(self) -> bool:
        """Whether any of its comparisons is one of seeds; else it is decided at once."""
        return any(self.takes_seeds(part.comparison) for part in self.parts)

    @cached_property
    def conditions(self) -> int:
        """Under how many conditions seeds can decide something in this tier."""
        decided = [part for part in self.parts if not part.why and self.takes_seeds(part.comparison)]
        return len({part.comparison.condition for part in decided})

    @cached_property
    def why_not(self) -> str:
        """Why this tier decides nothing of it; empty if it may."""
        parts = [part for part in self.parts if self.takes_seeds(part.comparison) or not self.by_seeds]
        return "" if any(not part.why for part in parts) else parts[0].why

    @cached_property
    def only_falls(self) -> str:
        """Why it can be contradicted here and not supported; empty if it can be both.

        Under one condition at least all of its comparisons have to be within reach.
        """
        lacking: dict[str, str] = {}
        for part in self.parts:
            known = lacking.setdefault(part.comparison.condition, "")
            lacking[part.comparison.condition] = known or part.why
        return "" if "" in lacking.values() else next(iter(lacking.values()))

    def jobs(self, seeds: int) -> list[Job]:
        """All that it reads with so many seeds, upstream first: of costs the seeds that the tier gives."""
        catalogue, found = self.suite.catalogue, list[Job]()
        for part in self.parts:
            for cell, metric in part.read:
                stage = catalogue.metrics[metric].stage
                resolved = resolve(catalogue, self.tier, cell, stage)
                assert resolved is not None
                own = resolved.seeds if catalogue.metrics[metric].is_cost else seeds
                found += [make_job(self.suite, stage, self.tier, cell, seed) for seed in range(own)]
        return with_upstream(found)


def needs_of(suite: Suite, tier: str, name: str, claim: Claim) -> Needs:
    """What a claim needs in a tier."""
    parts = tuple(_answerable(suite, tier, comparison) for comparison in claim.comparisons)
    return Needs(suite, tier, name, claim, parts)


def _answerable(suite: Suite, tier: str, comparison: Comparison) -> Answerable:
    read: dict[Read, None] = {}
    reasons, run = list[str](), 0
    for number in range(len(comparison.tasks)):
        own = _read_on(suite, comparison, number)
        why = next((why for one in own if (why := _why_not(suite, tier, one))), "")
        if why:
            reasons.append(why)
        else:
            run += 1
            read |= dict.fromkeys(own)
    least = FEWEST_UNITS if comparison.over == "tasks" else 1
    if run >= least:
        return Answerable(comparison, tuple(read), "")
    why = reasons[0] if reasons else f"it speaks of {run} tasks"
    if run:
        why = f"{run} of {len(comparison.tasks)} tasks run, and an interval over tasks needs {least}: {why}"
    return Answerable(comparison, (), why)


def _read_on(suite: Suite, comparison: Comparison, number: int) -> list[Read]:
    """Every cell and metric of its sides and gates on one task."""
    sides = [(side, side.metric or comparison.metric) for side in comparison.sides()]
    return [
        (side.cells(suite.catalogue, comparison.tasks, step)[number], metric)
        for side, metric in [*sides, *comparison.gate_sides()]
        for step in comparison.steps()
    ]


def _why_not(suite: Suite, tier: str, read: Read) -> str:
    cell, metric = read
    missing = why_missing(suite.catalogue, tier, cell, suite.catalogue.metrics[metric].stage)
    return missing or why_unmeasured(suite.catalogue, tier, cell, metric)
