"""A sequential design over all claims: at how many seeds they are looked at, and what error each look spends.

An error is a claim `supported` that does not hold by its smallest effect, or `contradicted` that does. Every
claim has these two directions. Each direction starts with the same part of the family's error and splits it
over the looks as declared. A direction that is decided passes its part on to those that are left (Holm 1979);
since the splits are fixed and the bound is Bonferroni's over directions and looks, it holds whatever the
claims share: it is the closed test in which each set of directions that may all be wrong is given the whole
error. A look that is past may therefore be read again with a part that has grown. See docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.intervals import Floats

Words = NDArray[np.str_]
OPEN = ""


@dataclass(frozen=True)
class Design:
    """Seeds at each look, the share of a direction's error that each look spends, and the family's error."""

    looks: tuple[int, ...]
    shares: tuple[float, ...]
    error: float

    def confidence(self, look: int, directions: int, decided: int | NDArray[np.int_] = 0) -> Floats:
        """That of the two-sided interval at a look (0 is the first), which errs by half on either side.

        `directions` are two for each claim, or for each condition of one; `decided` how many are rejected.
        """
        level = self.error * self.shares[look] / (directions - np.asarray(decided))
        return np.asarray(1.0 - 2.0 * level)


# With three seeds of one task the t-quantile of a small error is so far out that hardly any effect is beyond
# it, whatever that look is given. What it spends is better spent later.
DESIGN = Design(looks=(3, 5, 7, 10), shares=(0.1, 0.2, 0.3, 0.4), error=0.05)

# The words of a claim at a look (0 is the first) with this confidence: OPEN where it is left open, or where
# the look has not been reached. One word for each campaign, in the shape of the confidence.
Ask = Callable[[str, int, Floats], Words]


@dataclass(frozen=True)
class Decided:
    """A claim's word in each campaign, OPEN if there is none, the look it fell at, and its confidence there.

    Where no look has decided it, the look and the confidence are those of the last.
    """

    words: Words
    look: NDArray[np.int_]
    confidence: Floats


def decide(
    design: Design, claims: Mapping[str, int], ask: Ask, campaigns: tuple[int, ...] = ()
) -> dict[str, Decided]:
    """What is decided of each claim, by the first look that decides it.

    `claims` gives the number of conditions each is asked under; each has two directions of its own, of which
    a decided claim passes on one. `campaigns` is the shape of simulated repetitions, () for a real one.
    The result depends on the numbers alone and not on the order in which they were gathered.
    """
    directions = 2 * sum(claims.values())
    rejected = np.zeros(campaigns, dtype=int)
    while True:
        found = {name: _first(design, name, ask, directions, rejected) for name in claims}
        now = decided_among(found)
        if not np.any(now > rejected):
            return found
        rejected = now


def decided_among(found: Mapping[str, Decided]) -> NDArray[np.int_]:
    """How many claims are decided in each campaign."""
    return np.asarray(sum(np.asarray(one.words != OPEN, dtype=int) for one in found.values()))


def _first(design: Design, name: str, ask: Ask, directions: int, rejected: NDArray[np.int_]) -> Decided:
    last = len(design.looks) - 1
    words = np.full(rejected.shape, OPEN, dtype="<U40")
    at = np.full(rejected.shape, last)
    confidence = design.confidence(last, directions, rejected) + np.zeros(rejected.shape)
    for look in reversed(range(len(design.looks))):
        own = design.confidence(look, directions, rejected)
        said = np.asarray(ask(name, look, own))
        decides = said != OPEN
        words = np.where(decides, said, words)
        at = np.where(decides, look, at)
        confidence = np.where(decides, own, confidence)
    return Decided(words, at, confidence)
