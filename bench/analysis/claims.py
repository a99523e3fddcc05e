"""Whether a claim of a paper holds in a run: comparisons over cells, each with its interval, and a word.

A comparison is supported if its 95 % interval lies beyond the smallest effect that counts. A claim needs all
of its comparisons, so none of them has to be stricter than that. It falls with any one of them, which is why
the interval that contradicts is one for all of a claim's comparisons together (Bonferroni): a claim of ten
comparisons is not contradicted by chance more often than a claim of one. docs/statistics.md has the rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from bench.analysis.claim_questions import Question, questions_of
from bench.analysis.claim_scope import tasks_said
from bench.analysis.claim_values import Numbers
from bench.analysis.intervals import Estimate, Floats
from bench.catalogue.catalogue import Catalogue
from bench.catalogue.strict import Value
from bench.work.availability import why_missing
from bench.work.cells import recorded_cell
from bench.work.claim import Claim, Comparison
from bench.work.claims import is_ratio
from bench.work.record import Status

Word = Literal["supported", "contradicted", "inconclusive", "not-run"]
WORDS: tuple[Word, ...] = ("supported", "contradicted", "inconclusive", "not-run")
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Finding:
    """One comparison as a run answers it, on one task or on several; numbers are NaN where there are none.

    `low` and `high` are the interval that supports, `far_low` and `far_high` the wider one that contradicts.
    """

    question: Question
    word: Word
    why: str
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    far_low: float = math.nan
    far_high: float = math.nan
    # What both intervals are made of, on the scale of differences or of logarithms, and for how many
    # comparisons the wider one is made.
    estimate: Estimate | None = None
    together: int = 0

    @property
    def comparison(self) -> Comparison:
        """What was asked."""
        return self.question.comparison


@dataclass(frozen=True)
class Answer:
    """A claim's verdict, why it is that one, on which part of what it speaks of, and its findings."""

    word: str
    why: str
    scope: str
    findings: list[Finding] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The word with its scope: `supported at 10 to 100 steps`."""
        return f"{self.word} {self.scope}" if self.scope and self.word != "not-run" else self.word


def examine(
    catalogue: Catalogue,
    claim: Claim,
    cells: pd.DataFrame,
    tier: str,
    more: Mapping[str, Value] | None = None,
    confidence: float = CONFIDENCE,
) -> Answer:
    """The answer to a claim from `cells` (columns as in cells.csv), under `more` settings if given.

    `confidence` is that of the interval that supports.
    """
    numbers = Numbers(catalogue, cells)
    asked = [
        question
        for comparison in claim.comparisons
        for question in questions_of(numbers, comparison, more or {})
    ]
    findings: list[Finding] = []
    by_condition: dict[str, list[Finding]] = {}
    for condition in dict.fromkeys(question.comparison.condition for question in asked):
        own = _with_holes([one for one in asked if one.comparison.condition == condition])
        together = sum(question.is_decidable for question in own)
        found = [_find(numbers, question, together, tier, confidence) for question in own]
        by_condition[condition] = found
        findings += found
    word, why, condition = _over_conditions(claim, by_condition)
    ran = by_condition.values() if not condition else [own for own in by_condition.values() if _any_ran(own)]
    scope = ", ".join(filter(None, [scope_of([one for own in ran for one in own], word), condition]))
    return Answer(word, why, scope, findings)


def _any_ran(findings: list[Finding]) -> bool:
    return any(finding.word != "not-run" for finding in findings)


def _over_conditions(claim: Claim, found: dict[str, list[Finding]]) -> tuple[str, str, str]:
    """Word, why, and the only condition under which anything was run, if there is one."""
    words = {condition: claim_word(own) for condition, own in found.items()}
    ran = {condition: said for condition, said in words.items() if said[0] != "not-run"}
    if len(words) == 1 or not ran:
        return *next(iter(words.values())), ""
    if len(ran) == 1:
        ((condition, (word, why)),) = ran.items()
        return word, why, f"with {condition}"
    if len({word for word, _ in ran.values()}) == 1:
        return *next(iter(ran.values())), ""
    said = "; ".join(f"{word} with {condition}" for condition, (word, _) in ran.items())
    if {"supported", "contradicted"} <= {word for word, _ in ran.values()}:
        return f"depends on {claim.turns_on}", said, ""
    return "inconclusive", said, ""


def claim_word(findings: list[Finding]) -> tuple[Word, str]:
    """The verdict on comparisons of one condition, and why: all have to hold, and it falls with one."""
    words = [finding.word for finding in findings]
    missing = words.count("not-run")
    if missing == len(words):
        return "not-run", findings[0].why
    if "contradicted" in words:
        return "contradicted", f"{words.count('contradicted')} of {len(words)} comparisons contradict it"
    if missing:
        return "inconclusive", f"{missing} of {len(words)} comparisons not run"
    if "inconclusive" in words:
        return "inconclusive", f"{words.count('inconclusive')} of {len(words)} comparisons leave it open"
    return "supported", ""


def _find(numbers: Numbers, question: Question, together: int, tier: str, confidence: float) -> Finding:
    catalogue = numbers.catalogue
    if question.left_out and not question.groups:
        return Finding(question, "inconclusive", question.why_left_out)
    if not question.groups:
        why = question.why_absent or why_not(numbers, question.comparison, tier)
        return Finding(question, "not-run", why)
    estimate = question.estimate(catalogue)
    ratio = is_ratio(catalogue, question.comparison) and question.comparison.along is None
    scale = np.exp if ratio else np.asarray
    if estimate is None:
        effect = float(scale(question.mean))
        return Finding(question, "inconclusive", question.too_few, effect)
    near, far = ends(estimate, together, confidence)
    effect, low, high, far_low, far_high = (float(scale(value)) for value in (estimate.mean, *near, *far))
    word: Word = words_of(limits(question.comparison, ratio), estimate, together, confidence).item()
    why = "" if word != "inconclusive" else "the interval crosses the smallest effect that counts"
    found = Finding(
        question, word, why, effect, low, high, far_low, far_high, estimate=estimate, together=together
    )
    if question.is_busy:
        return replace(found, word="inconclusive", why=f"times spread by {question.busy:.2g}")
    return found


def ends(
    estimate: Estimate, together: int, confidence: float | Floats = CONFIDENCE
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """The interval that supports, and the one that contradicts among so many comparisons."""
    share = (1 - confidence) / max(together, 1)
    return estimate.interval(confidence), estimate.interval(1 - share)


def limits(comparison: Comparison, ratio: bool) -> tuple[float, float]:
    """Between which values the effect has to lie, on the estimate's scale."""
    smallest = math.log(comparison.smallest) if ratio else comparison.smallest
    return (smallest, math.inf) if comparison.expect == "more" else (-abs(smallest), abs(smallest))


def words_of(
    within: tuple[float, float],
    estimate: Estimate,
    together: int,
    confidence: float | Floats = CONFIDENCE,
) -> np.ndarray:
    """The word of each estimate: the whole of an interval has to lie on one side of what counts."""
    (low, high), (far_low, far_high) = ends(estimate, together, confidence)
    floor, ceiling = within
    inside = (floor < low) & (high < ceiling)
    outside = (far_high < floor) | (far_low > ceiling)
    return np.select([inside, outside], ["supported", "contradicted"], "inconclusive")


def why_not(numbers: Numbers, comparison: Comparison, tier: str) -> str:
    """What keeps this tier from a comparison's number, of its first cell that has a reason."""
    catalogue = numbers.catalogue
    for side in comparison.sides():
        stage = catalogue.metrics[side.metric or comparison.metric].stage
        for cell in side.cells(catalogue, comparison.tasks, comparison.steps()[0]):
            missing = why_missing(catalogue, tier, cell, stage)
            if missing:
                return missing
            status = numbers.whose(recorded_cell(catalogue, stage, cell))["status"]
            status = status[status != "ok"]
            if len(status):
                said = Status.parse(status.iloc[0])
                return said.why if said.kind == "not-run" else str(said)
    return "no record yet"


def scope_of(findings: list[Finding], word: str) -> str:
    """The part of its tasks, and of the values that growth is fitted over, that decided a claim.

    Empty where that is all of them. A claim is supported only where every comparison that speaks of a task
    was answered there. Sizes stand for themselves: they are known on more tasks than scores are.
    """
    ran = [finding.question for finding in findings if finding.question.groups]
    scored = [one for one in ran if not one.is_exact] or ran
    wanted = list(dict.fromkeys(task for one in scored for task in one.comparison.tasks))
    done: dict[str, set[str]] = {}
    for one in scored:
        done.setdefault(_name_of(one), set()).update(one.tasks)
    speaks = {_name_of(one): set(one.comparison.tasks) for one in scored}
    decide = all if word == "supported" else any
    named = [
        task
        for task in wanted
        if decide(task in done[name] for name, tasks in speaks.items() if task in tasks)
    ]
    parts = [tasks_said(named, wanted)] if named and len(named) < len(wanted) else []
    parts += dict.fromkeys(one.steps_said for one in ran if one.steps_said)
    return ", ".join(parts)


def _name_of(question: Question) -> str:
    return f"{question.comparison.label}/{question.comparison.condition}"


def _with_holes(questions: list[Question]) -> list[Question]:
    """The questions of a condition, and one for each task that one of its comparisons lacks and others have.

    A claim that stands on three tasks by one comparison and on one by another would else seem to stand on
    three.
    """
    scored = [one for one in questions if not one.is_exact] or questions
    known = {task for one in scored for task in one.tasks}
    holes = []
    for name in dict.fromkeys(_name_of(one) for one in scored):
        own = [one for one in scored if _name_of(one) == name]
        if not any(one.groups for one in own):
            continue
        said = {task for one in own for task in (*one.tasks, *one.left_out, *one.absent)}
        holes += [
            Question(own[0].comparison, (), {}, own[0].is_exact, {task: "not run, though others were there"})
            for task in own[0].comparison.tasks
            if task in known - said
        ]
    return [*questions, *holes]
