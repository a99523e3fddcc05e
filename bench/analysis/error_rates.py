"""How often a claim's rule gives the wrong word, by simulation with planted effects at this run's own spread.

Planted are four true effects: far from what counts, halfway to it, on its edge, and well within it. Of a
claim of more than a smallest effect they are 0, half, one and two times that; of one of no difference 2, 1.5,
1 and 0 times the margin. Where the smallest is 0 or below, or a ratio of 1, they are steps of its size, or of
a tenth, around it. Units are drawn from normal distributions with the spread that the run's own had, as many
as there were, and decided by the code that decides the claim. Gates are left out: which tasks decide is as it
was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bench.analysis.claims import Finding, limits, words_of
from bench.analysis.intervals import Estimate, Floats, moments, over_groups, over_units
from bench.catalogue.catalogue import Catalogue
from bench.seeds import stream
from bench.work.claims import is_ratio

REPETITIONS = 20_000
PLACES = ("far", "halfway", "edge", "within")
# Of the smallest effect that counts, for a claim of more.
MULTIPLES = (0.0, 0.5, 1.0, 2.0)
# The step between planted effects where the smallest that counts has no size of its own: a tenth, of a ratio.
STEP_OF_RATIO = math.log(1.1)


@dataclass(frozen=True)
class Rates:
    """Shares of repetitions with a word, by the place of the true effect that was planted.

    Support is that of the claim with this effect in its weakest comparison and one well within in the others;
    contradiction that with this effect in all of them. Of a claim under several conditions each is the
    largest of these.
    """

    support: dict[str, float]
    contradiction: dict[str, float]

    @property
    def false_support(self) -> float:
        """The largest share of support where the claim does not hold by more than the smallest effect."""
        return max(self.support[place] for place in PLACES[:3])

    @property
    def false_contradiction(self) -> float:
        """The largest share of contradiction where it holds, if only just."""
        return max(self.contradiction[place] for place in PLACES[2:])


@dataclass(frozen=True)
class _Plan:
    """What a finding is simulated with: its groups' sizes and deviations, and its rule."""

    sizes: tuple[int, ...]
    deviations: tuple[float, ...]
    over_tasks: bool
    within: tuple[float, float]
    planted: tuple[float, ...]


def rates_of(catalogue: Catalogue, name: str, findings: list[Finding]) -> Rates | None:
    """The rates of a claim's comparisons that have an interval; None where each is exact, or has none."""
    generator, found = stream("error rates", name), list[Rates]()
    for condition in dict.fromkeys(one.comparison.condition for one in findings):
        own = [one for one in findings if one.comparison.condition == condition]
        rates = _under_one(catalogue, own, generator)
        found += [rates] if rates else []
    if not found:
        return None
    return Rates(
        {place: max(one.support[place] for one in found) for place in PLACES},
        {place: max(one.contradiction[place] for one in found) for place in PLACES},
    )


def _under_one(catalogue: Catalogue, findings: list[Finding], generator: np.random.Generator) -> Rates | None:
    """The rates under one condition."""
    plans = {id(one): plan for one in findings if (plan := _plan_of(catalogue, one))}
    if not plans:
        return None
    together = sum(one.question.is_decidable for one in findings)
    words = [
        [_words(plan, effect, together, generator) for effect in plan.planted] for plan in plans.values()
    ]
    # What is exact has its word, and what has no interval keeps a claim from being supported.
    fixed = [one.word for one in findings if id(one) not in plans]
    support, contradiction = dict[str, float](), dict[str, float]()
    for at, place in enumerate(PLACES):
        holds = [
            np.all([own[at if weakest is own else -1] == "supported" for own in words], axis=0)
            for weakest in words
        ]
        can = all(word == "supported" for word in fixed)
        support[place] = float(max(each.mean() for each in holds)) if can else 0.0
        contradiction[place] = float(np.any([own[at] == "contradicted" for own in words], axis=0).mean())
    return Rates(support, contradiction)


def _plan_of(catalogue: Catalogue, finding: Finding) -> _Plan | None:
    question = finding.question
    if not question.is_decidable or question.is_exact:
        return None
    ratio = is_ratio(catalogue, finding.comparison) and finding.comparison.along is None
    within = limits(finding.comparison, ratio)
    over_tasks = finding.comparison.over == "tasks"
    sizes: tuple[int, ...]
    deviations: tuple[float, ...]
    if over_tasks:
        means = np.array([group.effects.mean() for group in question.groups])
        sizes, deviations = (len(means),), (float(means.std(ddof=1)),)
    else:
        sizes = tuple(len(group.effects) for group in question.groups)
        deviations = tuple(float(group.effects.std(ddof=1)) for group in question.groups)
    return _Plan(sizes, deviations, over_tasks, within, planted_in(within, ratio))


def planted_in(within: tuple[float, float], ratio: bool) -> tuple[float, ...]:
    """The true effects of the places, on the estimate's scale."""
    floor, ceiling = within
    if math.isinf(ceiling):
        step = abs(floor) or (STEP_OF_RATIO if ratio else 1.0)
        return tuple(floor + (multiple - 1.0) * step for multiple in MULTIPLES)
    return (2.0 * ceiling, 1.5 * ceiling, ceiling, 0.0)


def _words(plan: _Plan, effect: float, together: int, generator: np.random.Generator) -> np.ndarray:
    means, variances = list[Floats](), list[Floats]()
    for size, deviation in zip(plan.sizes, plan.deviations, strict=True):
        draws = effect + deviation * generator.standard_normal((REPETITIONS, size))
        mean, variance = moments(draws)
        means.append(mean)
        variances.append(variance)
    estimate: Estimate
    if plan.over_tasks:
        estimate = over_units(means[0], variances[0], plan.sizes[0])
    else:
        estimate = over_groups(means, variances, plan.sizes)
    return words_of(plan.within, estimate, together)
