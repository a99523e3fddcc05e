"""How often a claim's rule gives the wrong word, by simulation with planted effects at this run's own spread.

Planted are 0, half, one and two times the smallest effect that counts; where that is 0 or below, or a ratio
of 1, steps of the same kind around it. Units are drawn from normal distributions with the spread that the
run's own had, as many as there were, and decided by the code that decides the claim. Gates are left out: they
only ever make a verdict rarer.
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
MULTIPLES = (0.0, 0.5, 1.0, 2.0)
# The step between planted effects where the smallest that counts has no size of its own: a tenth, of a ratio.
STEP_OF_RATIO = math.log(1.1)


@dataclass(frozen=True)
class Rates:
    """Shares of repetitions with a word, by the multiple of the smallest effect that was planted.

    Support is that of the claim with this effect in its weakest comparison and twice the smallest in the
    others; contradiction that with this effect in all of them.
    """

    support: dict[float, float]
    contradiction: dict[float, float]

    @property
    def false_support(self) -> float:
        """The largest share of support where the claim does not hold by the smallest effect."""
        return max(self.support[multiple] for multiple in MULTIPLES if multiple <= 1.0)

    @property
    def false_contradiction(self) -> float:
        """The largest share of contradiction where it does."""
        return max(self.contradiction[multiple] for multiple in MULTIPLES if multiple >= 1.0)


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
    plans = [plan for finding in findings if (plan := _plan_of(catalogue, finding))]
    if not plans:
        return None
    generator = stream("error rates", name)
    together = sum(finding.question.is_decidable for finding in findings)
    words = [[_words(plan, effect, together, generator) for effect in plan.planted] for plan in plans]
    wide = len(MULTIPLES) - 1
    support, contradiction = {}, {}
    for at, multiple in enumerate(MULTIPLES):
        holds = [
            np.all([own[at if weakest is own else wide] == "supported" for own in words], axis=0)
            for weakest in words
        ]
        support[multiple] = float(max(each.mean() for each in holds))
        contradiction[multiple] = float(np.any([own[at] == "contradicted" for own in words], axis=0).mean())
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
    """The true effects of the multiples, on the estimate's scale.

    `more`: the multiples of the smallest effect, or steps up to it and beyond. `equal`: multiples of the
    margin, so that the claim holds below one and not above; at twice the margin it is false.
    """
    floor, ceiling = within
    if math.isinf(ceiling):
        step = abs(floor) or (STEP_OF_RATIO if ratio else 1.0)
        return tuple(floor + (multiple - 1.0) * step for multiple in MULTIPLES)
    # In the order of `more`: from what contradicts to what supports.
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
