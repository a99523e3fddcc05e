"""What a number of ours says of the printed one: a two-sided equivalence test against a margin.

`match` needs the whole 95 % interval of the difference within the protocol's margin, `differs` the
whole interval outside it. That two means are "not significantly different" is no match: with few
seeds nothing ever is. Only a paper budget on the paper's data may earn either word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.readings import Reading
from bench.analysis.reported import Printed, find_printed
from bench.analysis.statistics import Summary, half_width
from bench.catalogue.catalogue import Catalogue
from bench.work.record import Status

Word = Literal[
    "match", "differs", "inconclusive", "not-run", "unavailable", "unreported", "stand-in", "reduced"
]
MOST_SEEDS = 200
# Data on which a number may be set against a printed one; what is counted or timed rests on none.
COMPARABLE = {"", "real", "local"}


@dataclass(frozen=True)
class Verdict:
    """A word, why it is that one, and the difference (ours less the printed one) it rests on."""

    word: Word
    why: str = ""
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    seeds_needed: int = 0

    @property
    def text(self) -> str:
        """The word as a table shows it: an inconclusive one with the n it would take, where that is known."""
        return f"{self.word} (n = {self.seeds_needed} needed)" if self.seeds_needed else self.word


def verdict_of(reading: Reading, tier: str, reported: pd.DataFrame) -> Verdict:
    """The verdict on one entry of an artifact."""
    catalogue, entry, cell = reading.entry.suite.catalogue, reading.entry, reading.entry.cell
    return judge(
        reading.summary,
        reading.value,
        reading.status,
        find_printed(reported, entry.artifact, cell.task, cell.method, entry.asked.slug, entry.metric),
        margin_of(catalogue, cell.task, entry.metric),
        data_source_of(reading),
        catalogue.tier(tier).budget,
    )


def data_source_of(reading: Reading) -> str:
    """What the number rests on, by its record or else by its task; empty for what needs no data."""
    if not reading.entry.rests_on_data:
        return ""
    return reading.data_source or reading.entry.suite.catalogue.tasks[reading.entry.cell.task].data_source


def judge(
    ours: Summary | None,
    option: Any,
    status: str,
    printed: Printed | None,
    margin: float | None,
    data_source: str,
    budget: str,
) -> Verdict:
    """The verdict on one number: `ours` of a run, or the `option` a hyper-parameter has here.

    A `margin` of 0 asks for the printed digits, as for counts; None means that none is declared.
    """
    if ours is None and option is None:
        return Verdict("unavailable" if Status.parse(status).is_unavailable else "not-run", status)
    if printed is None:
        return Verdict("unreported", "the paper's value is not known")
    if ours is None:
        return Verdict("match" if same_value(option, printed.value) else "differs", "a setting, as resolved")
    difference = ours.mean - float(printed.value)
    if not COMPARABLE.issuperset(data_source.split(" and ")):
        return Verdict("stand-in", "not the paper's data", difference)
    if budget == "reduced":
        return Verdict("reduced", "not the paper's budget", difference)
    if margin is None:
        return Verdict("inconclusive", "no margin is declared for this metric", difference)
    if margin == 0:
        word: Word = "match" if same_value(ours.mean, printed.value) else "differs"
        return Verdict(word, "deterministic: equal in the printed digits, or not", difference)
    return equivalence(ours, printed, margin)


def same_value(ours: Any, printed: str) -> bool:
    """Whether a value of ours reads as printed: to the printed decimals, or as the same word."""
    if isinstance(ours, bool | str):
        return str(ours).lower() == printed.lower()
    try:
        number = float(printed)
    except ValueError:
        return False
    if "e" in printed.lower():
        return math.isclose(ours, number)
    return math.isclose(round(ours, len(printed.partition(".")[2])), number)


def equivalence(ours: Summary, printed: Printed, margin: float) -> Verdict:
    """`match`, `differs`, or `inconclusive` with the number of seeds that would settle it.

    Where the paper prints a standard error its mean is uncertain too; else it is taken as exact.
    """
    difference = ours.mean - float(printed.value)
    if ours.n < 2:
        return Verdict("inconclusive", "one seed has no interval", difference, seeds_needed=2)
    half = float(_half(ours, printed, np.array([ours.n]))[0])
    verdict = Verdict("inconclusive", "", difference, difference - half, difference + half)
    if abs(difference) + half < margin:
        return replace(verdict, word="match", why=f"within {margin:g} either way")
    if abs(difference) - half > margin:
        return replace(verdict, word="differs", why=f"by more than {margin:g}")
    needed = seeds_needed(ours, printed, margin)
    why = f"the interval crosses the margin of {margin:g}"
    if not needed:
        why += f", and would with {MOST_SEEDS} seeds if mean and spread stayed as they are"
    return replace(verdict, why=why, seeds_needed=needed)


def _half(ours: Summary, printed: Printed, seeds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Half of the difference's 95 % t-interval with each number of seeds, were their spread to stay.

    Degrees of freedom are Welch and Satterthwaite's.
    """
    own = ours.error**2 * ours.n / seeds
    theirs = printed.error**2
    known = own**2 / (ours.degrees * (seeds - 1) / (ours.n - 1))
    if theirs:
        known = known + theirs**2 / (printed.seeds - 1)
    degrees = np.divide((own + theirs) ** 2, known, out=np.ones_like(own), where=known > 0)
    return half_width(np.sqrt(own + theirs), degrees)


def seeds_needed(ours: Summary, printed: Printed, margin: float) -> int:
    """The fewest seeds that would give a verdict, were mean and spread to stay; 0 where 200 would not."""
    seeds = np.arange(2, MOST_SEEDS + 1)
    room = abs(margin - abs(ours.mean - float(printed.value)))
    enough = np.flatnonzero(_half(ours, printed, seeds) < room)
    return int(seeds[enough[0]]) if len(enough) else 0


def margin_of(catalogue: Catalogue, task: str, metric: str) -> float | None:
    """How far a score may lie from the printed one: 0 for counts, the protocol's margin for its score."""
    if metric in catalogue.metrics and catalogue.metrics[metric].deterministic:
        return 0.0
    protocol = catalogue.protocols[catalogue.tasks[task].protocol]
    return protocol.margin if metric == protocol.score else None
