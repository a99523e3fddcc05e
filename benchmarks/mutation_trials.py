"""What a fault does to the words of claims: its jobs are made again, and the claims decided anew."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import pandas as pd

from bench.analysis.claims import Answer, Finding, examine
from bench.analysis.readings import job_rows
from bench.errors import UserError, unknown
from bench.work.claim import Claim
from bench.work.claims import asked_cells, is_ratio, load_claims
from bench.work.jobs import Job
from bench.work.plan import all_jobs
from bench.work.stored import CELL_COLUMNS
from bench.work.suite import Suite
from benchmarks.faults import Fault, plant
from benchmarks.faulty_copies import TIER, BrokenError, Copy

Outcome = Literal["tried", "crashed", "untouched", "left out", "undecided", "busy"]


@dataclass(frozen=True)
class Trial:
    """What became of a claim under a fault; the fields are the columns of the table.

    `comparison` is the one whose effect moved most. `core_seconds` is what the jobs of the fault took, all of
    its claims together. `made_under` hashes what the outcome follows from.
    """

    fault: str
    methods: str
    claim: str
    outcome: Outcome
    before: str
    after: str = ""
    changed: str = ""
    comparison: str = ""
    effect_before: float = math.nan
    effect_after: float = math.nan
    core_seconds: float = 0.0
    why: str = ""
    made_under: str = ""


class Before(NamedTuple):
    """A claim without a fault: its answer, the jobs it reads, and their numbers."""

    claim: Claim
    answer: Answer
    jobs: list[Job]
    cells: pd.DataFrame

    @property
    def is_decided(self) -> bool:
        """Whether it has a word that a fault can change."""
        word = self.answer.word
        return word in ("supported", "contradicted") or word.startswith("depends on")

    def made_under(self, copy: Copy) -> str:
        """What its word follows from in a copy, as a short hash: its digest and its jobs' fingerprints."""
        text = json.dumps([self.claim.digest(), sorted(copy.known[job.key] for job in self.jobs)])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def without_fault(suite: Suite, unchanged: Copy, names: Iterable[str]) -> dict[str, Before]:
    """Every claim as it is decided without a fault; UserError where a job of one gives no number."""
    claims, found = load_claims(suite), {}
    for name in names:
        if name not in claims:
            raise unknown("claim", name, claims, "benchmarks/mutations.yaml or --claims")
        jobs = jobs_read(suite, claims[name], TIER)
        for job in jobs:
            try:
                unchanged.make(job)
            except BrokenError as error:
                raise UserError(f"without a fault: {error}. Mend the code before faults are tried.") from None
        cells = rows_of(unchanged, jobs)
        found[name] = Before(claims[name], examine(suite.catalogue, claims[name], cells, TIER), jobs, cells)
        print(f"{name}: {found[name].answer.text} without a fault", flush=True)
    return found


def jobs_read(suite: Suite, claim: Claim, tier: str) -> list[Job]:
    """The jobs of a tier whose numbers decide a claim, as the papers are read without further choices."""
    plain = claim.model_copy(update={"specifications": {}})
    asked = set()
    for comparison in claim.comparisons:
        for cell, metric in asked_cells(suite.catalogue, plain, comparison):
            asked.add((suite.catalogue.metrics[metric].stage, cell))
            if comparison.matched == "training-time":
                asked.add(("train", cell))
    return [job for job in all_jobs(suite, tier) if (job.stage, job.cell) in asked]


def rows_of(copy: Copy, jobs: Iterable[Job]) -> pd.DataFrame:
    """The tidy numbers of jobs that were made in a copy."""
    with contextlib.chdir(copy.root):
        frames = [job_rows(job) for job in jobs]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=CELL_COLUMNS)


def try_fault(
    suite: Suite,
    fault: Fault,
    befores: Mapping[str, Before],
    unchanged: Copy,
    most_seconds: float,
    known: Mapping[tuple[str, str], Trial],
) -> list[Trial]:
    """What a fault does to each claim, in a copy of the repository that is then thrown away.

    Of `known`, trials by fault and claim, none is made again that would follow from the same fingerprints.
    """
    decided = {name: before for name, before in befores.items() if before.is_decided}
    found = [
        replace(_trial(fault, name, before, "undecided"), why=before.answer.why)
        for name, before in befores.items()
        if not before.is_decided
    ]
    if not decided:
        return found
    with TemporaryDirectory(dir=unchanged.root.parent, prefix="faulty-") as folder:
        faulty = Copy(Path(folder), unchanged)
        faulty.fill()
        plant(fault, faulty.root)
        try:
            faulty.ask_fingerprints()
        except UserError as error:
            broken = [_trial(fault, name, before, "crashed") for name, before in decided.items()]
            return found + [replace(one, why=_short(error)) for one in broken]
        under = {name: before.made_under(faulty) for name, before in decided.items()}
        for name in decided:
            earlier = known.get((fault.name, name))
            if earlier and earlier.made_under == under[name] and earlier.outcome != "busy":
                found.append(earlier)
        done = {trial.claim for trial in found}
        rest = {name: before for name, before in decided.items() if name not in done}
        tried, too_long = within(rest, faulty, most_seconds)
        made = [_try(suite, fault, name, rest[name], faulty) for name in tried]
        seconds = round(faulty.core_seconds, 1)
        found += [replace(one, core_seconds=seconds, made_under=under[one.claim]) for one in made]
        for name, expected in too_long.items():
            why = f"{expected:.0f} core-seconds expected"
            found.append(replace(_trial(fault, name, rest[name], "left out"), why=why))
    return found


def within(
    befores: Mapping[str, Before], faulty: Copy, most_seconds: float
) -> tuple[list[str], dict[str, float]]:
    """Which claims are tried, in their order, and the expected seconds with each that no longer fits."""
    taken: set[Job] = set()
    tried, too_long = [], {}
    for name, before in befores.items():
        more = {one for job in before.jobs for one in _with_upstream(job) if faulty.is_changed(one)}
        seconds = sum(job.core_seconds for job in taken | more)
        if seconds > most_seconds:
            too_long[name] = seconds
        else:
            tried.append(name)
            taken |= more
    return tried, too_long


def _with_upstream(job: Job) -> list[Job]:
    return [job, *(one for before in job.upstream for one in _with_upstream(before))]


def _trial(fault: Fault, name: str, before: Before, outcome: Outcome) -> Trial:
    return Trial(fault.name, " ".join(fault.methods), name, outcome, before.answer.word)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[-300:]


def _try(suite: Suite, fault: Fault, name: str, before: Before, faulty: Copy) -> Trial:
    changed = [job for job in before.jobs if faulty.is_changed(job)]
    if not changed:
        return _trial(fault, name, before, "untouched")
    try:
        for job in changed:
            faulty.make(job)
    except BrokenError as error:
        return replace(_trial(fault, name, before, "crashed"), why=_short(error))
    assert faulty.unchanged is not None
    replaced = {faulty.unchanged.known[job.key] for job in changed}
    after = decided_with(suite, before, replaced, rows_of(faulty, changed))
    if any(finding.question.is_busy for finding in after.findings):
        # Times that something else disturbed would change the word, and not the fault.
        return replace(_trial(fault, name, before, "busy"), why=after.why)
    comparison, effects = moved_most(suite, before.answer, after)
    return replace(
        _trial(fault, name, before, "tried"),
        after=after.word,
        changed="yes" if after.word != before.answer.word else "no",
        comparison=comparison,
        effect_before=effects[0],
        effect_after=effects[1],
        why=after.why,
    )


def decided_with(suite: Suite, before: Before, replaced: set[str], rows: pd.DataFrame) -> Answer:
    """The claim with `rows` in the place of the numbers that were made under the fingerprints `replaced`."""
    kept = before.cells[~before.cells["fingerprint"].isin(replaced)]
    return examine(suite.catalogue, before.claim, pd.concat([kept, rows], ignore_index=True), TIER)


def moved_most(suite: Suite, before: Answer, after: Answer) -> tuple[str, tuple[float, float]]:
    """The comparison whose effect moved most, one whose word changed before any other, and both effects."""

    def distance(pair: tuple[Finding, Finding]) -> tuple[bool, float]:
        one, other = pair
        values = [one.effect, other.effect]
        if is_ratio(suite.catalogue, one.comparison) and one.comparison.along is None and min(values) > 0:
            values = [math.log(value) for value in values]
        moved = abs(values[1] - values[0])
        return one.word != other.word, -1.0 if math.isnan(moved) else moved

    others = {_named(finding): finding for finding in after.findings}
    pairs = [(one, others[_named(one)]) for one in before.findings if _named(one) in others]
    if not pairs:
        return "", (math.nan, math.nan)
    one, other = max(pairs, key=distance)
    return ", ".join(filter(None, _named(one))), (one.effect, other.effect)


def _named(finding: Finding) -> tuple[str, str, str]:
    comparison = finding.comparison
    task = finding.question.tasks[0] if comparison.each and finding.question.tasks else ""
    return comparison.label, comparison.condition, task
