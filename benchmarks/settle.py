"""How often `bench settle` errs, and what it saves: `python -m benchmarks.settle [campaigns]`.

Campaigns over synthetic claims of known truth are decided by the design, and by the code that decides a
claim. Writes results/benchmarks/settle.csv: for each planted truth and kind of noise the share of campaigns
with any false word (with its 95 % Clopper-Pearson interval), the share of claims that are supported, that
share with ten seeds each and Bonferroni over the claims, and the seeds spent of ten.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta

from bench.analysis.claims import words_of
from bench.analysis.intervals import Estimate, Floats, moments, over_groups
from bench.analysis.sequential import DESIGN, OPEN, Decided, Design, Words, decide

RESULT = Path("results/benchmarks/settle.csv")
CAMPAIGNS = 2_000
SMALLEST = 1.0
# What an effect has in common with those of the other claims on its task, as a share of its variance.
SHARED = 0.5


@dataclass(frozen=True)
class Synthetic:
    """A claim of comparisons on some tasks; its seeds' deviation is in units of the smallest effect."""

    comparisons: int
    tasks: int
    expect: str
    deviation: float

    @property
    def within(self) -> tuple[float, float]:
        """Where the effect has to lie."""
        return (SMALLEST, np.inf) if self.expect == "more" else (-SMALLEST, SMALLEST)


CLAIMS = {
    f"claim {number}": Synthetic(
        comparisons=number % 4 + 1,
        tasks=number % 3 + 1,
        expect="equal" if number % 4 == 3 else "more",
        deviation=(0.125, 0.25, 0.5, 1.0)[(number // 3) % 4],
    )
    for number in range(12)
}
# Effects of a claim's first comparison and of its others, in multiples as in `error_rates`: at one time the
# threshold, at two times well beyond it. What is `false` is then whatever word is not left.
TRUTHS: dict[str, tuple[float, float, tuple[str, ...]]] = {
    "all at their thresholds": (1.0, 1.0, ("supported", "contradicted")),
    "one of each claim at its threshold": (1.0, 2.0, ("supported", "contradicted")),
    "all at twice their thresholds": (2.0, 2.0, ("contradicted",)),
}
# The same with every second claim at twice, so that decided claims pass their error on.
MIXED = "half at their thresholds, half at twice"
Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]
KINDS: dict[str, Draw] = {
    "normal": lambda generator, shape: generator.normal(size=shape),
    "heavy tails": lambda generator, shape: generator.standard_t(4, shape) / np.sqrt(2.0),
    "skewed": lambda generator, shape: generator.exponential(size=shape) - 1.0,
}


def effect_of(claim: Synthetic, multiple: float) -> float:
    """The planted effect: a multiple of what is exceeded; within a margin, two times is no effect at all."""
    return multiple * SMALLEST if claim.expect == "more" else (2.0 - multiple) * SMALLEST


class Campaigns:
    """Simulated campaigns: every claim's effects, each an array of (campaigns, tasks, seeds)."""

    def __init__(
        self,
        multiples: dict[str, tuple[float, float]],
        draw: Draw,
        count: int,
        generator: np.random.Generator,
        design: Design = DESIGN,
    ) -> None:
        self.design, self.count = design, count
        most = design.looks[-1]
        # Claims read the same cells: what they share is a task's, and no two tasks share anything.
        common = draw(generator, (count, max(claim.tasks for claim in CLAIMS.values()), most))
        self.effects: dict[str, list[Floats]] = {}
        for name, claim in CLAIMS.items():
            planted = (multiples[name][0], *[multiples[name][1]] * (claim.comparisons - 1))
            self.effects[name] = [
                effect_of(claim, multiple)
                + claim.deviation
                * (
                    np.sqrt(SHARED) * common[:, : claim.tasks]
                    + np.sqrt(1.0 - SHARED) * draw(generator, (count, claim.tasks, most))
                )
                for multiple in planted
            ]

    def words(self, name: str, seeds: int, confidence: float | Floats) -> Words:
        """A claim's word in each campaign from its first seeds, decided as `claims.claim_word` does."""
        claim = CLAIMS[name]
        each = [
            words_of(claim.within, _estimate(effects, seeds), claim.comparisons, confidence)
            for effects in self.effects[name]
        ]
        fallen = np.any([words == "contradicted" for words in each], axis=0)
        holds = np.all([words == "supported" for words in each], axis=0)
        return np.select([fallen, holds], ["contradicted", "supported"], OPEN)

    def run(self) -> tuple[dict[str, Decided], dict[str, NDArray[np.int_]]]:
        """What the design decides, and the seeds that each claim had spent when it stopped."""
        reached = {name: np.zeros(self.count, dtype=int) for name in CLAIMS}
        looks = self.design.looks

        def ask(name: str, look: int, confidence: Floats) -> Words:
            said = self.words(name, looks[look], confidence)
            return np.where(look <= reached[name], said, OPEN)

        weights = dict.fromkeys(CLAIMS, 1)
        for look in range(len(looks)):
            found = decide(self.design, weights, ask, (self.count,))
            if look + 1 < len(looks):
                for name, one in found.items():
                    reached[name] += one.words == OPEN
        return found, {name: np.array(looks)[at] for name, at in reached.items()}

    def fixed(self) -> dict[str, Words]:
        """What ten seeds of every claim say at once, with Bonferroni over the claims."""
        confidence = 1.0 - self.design.error / len(CLAIMS)
        return {name: self.words(name, self.design.looks[-1], confidence) for name in CLAIMS}


def _estimate(effects: Floats, seeds: int) -> Estimate:
    means, variances = moments(effects[:, :, :seeds])
    tasks = range(effects.shape[1])
    return over_groups([means[:, n] for n in tasks], [variances[:, n] for n in tasks], [seeds for _ in tasks])


def clopper_pearson(count: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Clopper and Pearson 1934)."""
    low = float(beta.ppf(0.025, count, of - count + 1)) if count else 0.0
    high = float(beta.ppf(0.975, count + 1, of - count)) if count < of else 1.0
    return low, high


def planted(truth: str) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[str, ...]]]:
    """The multiples of each claim, first comparison and others, and the words that would be false of it."""
    names = {
        name: "all at twice their thresholds" if number % 2 else "all at their thresholds"
        for number, name in enumerate(CLAIMS)
    }
    chosen = {name: TRUTHS[names[name] if truth == MIXED else truth] for name in CLAIMS}
    return {name: one[:2] for name, one in chosen.items()}, {name: one[2] for name, one in chosen.items()}


def measured(truth: str, kind: str, count: int, seed: int = 0) -> dict[str, object]:
    """One row: errors, power and seeds of a planted truth under a kind of noise."""
    multiples, false = planted(truth)
    campaigns = Campaigns(multiples, KINDS[kind], count, np.random.default_rng([seed, len(truth), len(kind)]))
    found, spent = campaigns.run()
    fixed = campaigns.fixed()
    errs = np.any([np.isin(found[name].words, false[name]) for name in CLAIMS], axis=0)
    low, high = clopper_pearson(int(errs.sum()), count)
    supported = np.mean([found[name].words == "supported" for name in CLAIMS])
    return {
        "truth": truth, "noise": kind, "claims": len(CLAIMS), "campaigns": count,
        "any_false_word": round(float(errs.mean()), 4), "low": round(low, 4), "high": round(high, 4),
        "supported": round(float(supported), 4),
        "supported_by_ten_seeds_each": round(float(np.mean([w == "supported" for w in fixed.values()])), 4),
        "seeds_a_claim": round(float(np.mean(list(spent.values()))), 3),
        "seeds_saved": round(1.0 - float(np.mean(list(spent.values()))) / DESIGN.looks[-1], 4),
    }  # fmt: skip


def main() -> None:
    """Every planted truth under every kind of noise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("campaigns", nargs="?", type=int, default=CAMPAIGNS)
    count = parser.parse_args().campaigns
    table = pd.DataFrame([measured(truth, kind, count) for truth in (*TRUTHS, MIXED) for kind in KINDS])
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(RESULT, index=False, lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
