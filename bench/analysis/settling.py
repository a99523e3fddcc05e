"""How far the claims of a tier are settled, what each still costs, and in which order to go on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import ndtr, stdtrit

from bench.analysis.claim_needs import Needs, needs_of
from bench.analysis.claims import Answer, Finding, examine, limits
from bench.analysis.intervals import Floats
from bench.analysis.readings import job_rows
from bench.analysis.sequential import DESIGN, OPEN, Decided, Design, Words, decide, decided_among
from bench.catalogue.catalogue import Catalogue
from bench.work.claim import Claim
from bench.work.claims import is_ratio
from bench.work.jobs import Job
from bench.work.stored import CELL_COLUMNS
from bench.work.suite import Suite

# The chance of a comparison whose spread is not known yet.
PRIOR = 0.5
FUTILE, UNDECIDED, NOT_HERE = "futile", "open", "not in this tier"
# Words with which a claim has stopped without being decided.
DECIDES_NOTHING = ("inconclusive", "not-run")


@dataclass(frozen=True)
class Standing:
    """A claim as it stands: its word, why, the seeds behind it, and what is to be run for more.

    `next_jobs` are those until its next look, `all_jobs` until its last; both empty for one that has stopped.
    `chance` is that of its being decided at its next look. `confidence` is that of its last interval. `scope`
    is the part of its tasks that the word rests on.
    """

    needs: Needs
    word: str
    why: str
    seeds: int = 0
    confidence: float = math.nan
    next_jobs: tuple[Job, ...] = ()
    all_jobs: tuple[Job, ...] = ()
    chance: float = 0.0
    scope: str = ""

    @property
    def is_open(self) -> bool:
        """Whether there is anything to run for it."""
        return bool(self.next_jobs)


@dataclass
class Campaign:
    """The claims of a tier under a design. `survey` reads what there is now; looks once read are kept."""

    suite: Suite
    claims: Mapping[str, Claim]
    tier: str
    design: Design = DESIGN
    _answers: dict[tuple[str, int, float], Answer] = field(default_factory=dict)
    _cells: dict[tuple[str, int], pd.DataFrame] = field(default_factory=dict)
    _known: dict[Job, Job] = field(default_factory=dict)
    # Of every job that a claim reads, as the last survey found it.
    states: dict[Job, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find what each claim needs; a job that many need is one object, with its fingerprint."""
        self.needs = {name: needs_of(self.suite, self.tier, name, one) for name, one in self.claims.items()}
        self.jobs = {
            name: [
                [self._known.setdefault(job, job) for job in own.jobs(seeds)] for seeds in self.design.looks
            ]
            for name, own in self.needs.items()
        }

    def survey(self) -> list[Standing]:
        """Every claim as it stands."""
        self.states = {}
        left = {name: [waiting(own, self.states) for own in looks] for name, looks in self.jobs.items()}
        reached = {name: _complete(looks) for name, looks in left.items()}

        def ask(name: str, look: int, confidence: Floats) -> Words:
            if look >= reached[name]:
                return np.asarray(OPEN)
            word = self.answer(name, look, float(confidence)).word
            return np.asarray(OPEN if word in DECIDES_NOTHING else word)

        spending = {name: own.conditions for name, own in self.needs.items() if own.conditions}
        found = decide(self.design, spending, ask) if spending else {}
        coming = {
            look: float(self.design.confidence(look, 2 * sum(spending.values()), decided_among(found)))
            for look in range(len(self.design.looks))
        }
        return [
            self._by_seeds(own, found[name], left[name], reached[name], coming)
            if name in found
            else self._at_once(own, left[name][0])
            for name, own in self.needs.items()
        ]

    def answer(self, name: str, look: int, confidence: float) -> Answer:
        """What a claim's seeds up to a look say at this confidence."""
        key = (name, look, confidence)
        if key not in self._answers:
            if (name, look) not in self._cells:
                self._cells[name, look] = cells_of(self.jobs[name][look])
            cells = self._cells[name, look]
            self._answers[key] = examine(
                self.suite.catalogue, self.claims[name], cells, self.tier, confidence=confidence
            )
        return self._answers[key]

    def _by_seeds(
        self,
        own: Needs,
        decided: Decided,
        left: list[list[Job]],
        reached: int,
        at_looks: Mapping[int, float],
    ) -> Standing:
        look, confidence, word = int(decided.look), float(decided.confidence), str(decided.words)
        looks = self.design.looks
        if word != OPEN:
            answer = self.answer(own.name, look, confidence)
            return Standing(own, word, answer.why, looks[look], confidence, scope=answer.scope)
        if reached == len(looks):
            answer = self.answer(own.name, look, confidence)
            return Standing(own, FUTILE, bound_of(answer), looks[-1], confidence, scope=answer.scope)
        coming = at_looks[reached]
        chance = PRIOR
        if reached:
            seen = self.answer(own.name, reached - 1, coming)
            chance = chance_of(self.suite.catalogue, seen, coming, looks[reached] / looks[reached - 1])
        why = f"cannot be supported here: {own.only_falls}" if own.only_falls else ""
        seeds = looks[reached - 1] if reached else 0
        return Standing(
            own, UNDECIDED, why, seeds, coming, tuple(left[reached]), tuple(left[-1]), chance
        )  # fmt: skip

    def _at_once(self, own: Needs, left: list[Job]) -> Standing:
        """A claim of counts or turns, or one that this tier cannot decide."""
        if own.why_not:
            return Standing(own, NOT_HERE, own.why_not)
        if left:
            return Standing(own, UNDECIDED, "counts or turns", 0, math.nan, tuple(left), tuple(left), 1.0)
        cells = cells_of(self.jobs[own.name][0])
        answer = examine(self.suite.catalogue, own.claim, cells, self.tier)
        why = answer.why or "counts or turns: no seeds are spent"
        return Standing(own, answer.word, why, scope=answer.scope)


def waiting(jobs: list[Job], states: dict[Job, str]) -> list[Job]:
    """Those of some jobs (upstream first) that have to run; `states` remembers what was read.

    What only the store holds has numbers and no checkpoints: it runs if what comes after it does.
    """

    def state(job: Job) -> str:
        if job not in states:
            states[job] = job.state
        return states[job]

    wanted = {job for job in jobs if state(job) not in ("current", "stored")}
    for job in reversed(jobs):
        if job in wanted:
            wanted |= {before for before in job.upstream if state(before) != "current"}
    return [job for job in jobs if job in wanted]


def cells_of(jobs: Iterable[Job]) -> pd.DataFrame:
    """The tidy numbers of some jobs, as in cells.csv."""
    frames = [job_rows(job) for job in jobs if job.row.in_cells]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=CELL_COLUMNS)


def _complete(left: list[list[Job]]) -> int:
    """How many looks have all their jobs, from the first on."""
    return next((look for look, jobs in enumerate(left) if jobs), len(left))


def bound_of(answer: Answer) -> str:
    """What the last look proves of each comparison that it leaves open."""
    return "; ".join(_bound(finding) for finding in answer.findings if finding.word in DECIDES_NOTHING)


def _bound(finding: Finding) -> str:
    tasks = finding.question.tasks
    name = finding.comparison.label + (f" on {tasks[0]}" if finding.comparison.each and tasks else "")
    if math.isnan(finding.low):
        return f"{name}: {finding.why}"
    return f"{name}: between {finding.low:.3g} and {finding.high:.3g}"


def chance_of(catalogue: Catalogue, answer: Answer, confidence: float, growth: float) -> float:
    """How likely a claim is to be decided with `growth` times the seeds.

    The mean to come is normal about the mean seen, with the spread seen; the spread is taken to stay.
    Comparisons, and conditions, are taken to be independent.
    """
    if all(one.word == "not-run" for one in answer.findings):
        return 0.0
    chance = 1.0
    for condition in dict.fromkeys(one.comparison.condition for one in answer.findings):
        own = [one for one in answer.findings if one.comparison.condition == condition]
        together = max(1, sum(one.question.is_decidable for one in own))
        each = [_chances(catalogue, one, confidence, together, growth) for one in own]
        if all(one.word == "not-run" for one in own):
            continue
        support = math.prod(support for support, _ in each)
        fall = 1.0 - math.prod(1.0 - fall for _, fall in each)
        chance *= min(1.0, support + fall)
    return chance


def _chances(
    catalogue: Catalogue, finding: Finding, confidence: float, together: int, growth: float
) -> tuple[float, float]:
    """Of being supported, and of being contradicted."""
    estimate = finding.question.estimate(catalogue) if finding.question.groups else None
    if finding.word == "not-run":
        return 0.0, 0.0
    if estimate is None:
        return PRIOR, 0.0
    if finding.question.is_exact:
        return float(finding.word == "supported"), float(finding.word == "contradicted")
    mean, error, degrees = float(estimate.mean), float(estimate.error), float(estimate.degrees)
    # An interval over tasks has no more units when each has more seeds: it is taken to stay as wide.
    over_tasks = finding.comparison.over == "tasks"
    coming = error if over_tasks else error / math.sqrt(growth)
    degrees = degrees if over_tasks else degrees * growth
    drift = max(error * math.sqrt(1.0 - 1.0 / growth), 1e-12)
    ratio = is_ratio(catalogue, finding.comparison) and finding.comparison.along is None
    floor, ceiling = limits(finding.comparison, ratio)
    near, far = (
        float(stdtrit(degrees, 0.5 + level / 2)) * coming + estimate.tolerance
        for level in (confidence, 1.0 - (1.0 - confidence) / together)
    )
    below, above = (float(ndtr((end - mean) / drift)) for end in (floor + near, ceiling - near))
    fallen = float(ndtr((floor - far - mean) / drift) + ndtr((mean - ceiling - far) / drift))
    return max(0.0, above - below), min(1.0, fallen)


def in_order(standings: Iterable[Standing]) -> list[tuple[Standing, list[Job]]]:
    """The open claims in the order in which to go on, each with the jobs that those before leave to it.

    First the one with the highest chance of being decided for each core-second until its next look.
    """
    left = {one.needs.name: one for one in standings if one.is_open}
    ordered: list[tuple[Standing, list[Job]]] = []
    planned: set[Job] = set()
    while left:
        costs = {name: sum_of(set(one.next_jobs) - planned) for name, one in left.items()}
        best = max(left, key=lambda name: (_promise(left[name].chance, costs[name]), -costs[name]))
        one = left.pop(best)
        ordered.append((one, [job for job in one.next_jobs if job not in planned]))
        planned |= set(one.next_jobs)
    return ordered


def sum_of(jobs: Iterable[Job]) -> float:
    """Estimated core-seconds of some jobs."""
    return sum(job.core_seconds for job in jobs)


def _promise(chance: float, cost: float) -> float:
    return chance / cost if cost else math.inf
