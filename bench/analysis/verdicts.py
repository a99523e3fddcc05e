"""What a number of ours says of the printed one: a two-sided equivalence test against a margin.

`match` needs the whole 95 % interval of the difference within the protocol's margin, `differs` the
whole interval outside it. That two means are "not significantly different" is no match: with few
seeds nothing ever is. Only a paper budget on the paper's data may earn either word. Where the paper draws a
curve, each of its points is judged against ours at the same index. A setting (a hyper-parameter or constant)
is the outcome of no run: it `agrees` with the printed one or `disagrees`, and is counted apart.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.readings import Reading
from bench.analysis.reported import Printed, find_curve, find_printed
from bench.analysis.statistics import FEWEST_SEEDS, Summary, half_width
from bench.catalogue.catalogue import Catalogue
from bench.work.entries import Entry
from bench.work.record import Status

Word = Literal[
    "match", "differs", "inconclusive", "not-run", "unavailable", "unreported", "stand-in", "reduced",
    "agrees", "disagrees",
]  # fmt: skip
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


@dataclass(frozen=True)
class Point:
    """What a paper draws at one index of a curve, and the verdict on our number there."""

    index: float
    printed: Printed
    verdict: Verdict


def printed_for(entry: Entry, reported: pd.DataFrame) -> Printed | None:
    """What is printed for an entry, in its artifact or one that this names; None if not known, or a curve."""
    places = (entry.artifact, *entry.suite.catalogue.artifacts[entry.artifact].printed_in)
    found = (find_printed(reported, place, *_place_of(entry)[1:]) for place in places)
    return next(filter(None, found), None)


def points_of(reading: Reading, tier: str, reported: pd.DataFrame) -> list[Point]:
    """Every point that the paper draws for an entry, by index; none for what is no curve."""
    catalogue, entry = reading.entry.suite.catalogue, reading.entry
    curve = find_curve(reported, *_place_of(entry))
    if not curve:
        return []
    margin, source = margin_of(catalogue, entry.cell.task, entry.metric), data_source_of(reading)
    ours = reading.curve.set_index("index") if reading.summary is not None else pd.DataFrame()
    points = []
    for index, printed in sorted(curve.items()):
        own = _summary_at(ours, index) if index in ours.index else None
        missing = f"not-run: no point at {index:g}" if reading.summary is not None else reading.status
        status = reading.status if own else missing
        verdict = judge(own, None, status, printed, margin, source, catalogue.tier(tier).budget)
        points.append(Point(index, printed, verdict))
    return points


def verdict_of(reading: Reading, tier: str, reported: pd.DataFrame) -> Verdict:
    """The verdict on one entry of an artifact; on a curve, the one that its points share."""
    points = points_of(reading, tier, reported)
    if points:
        words = Counter(point.verdict.word for point in points)
        if len(words) == 1:
            return Verdict(points[0].verdict.word, f"{points[0].verdict.why}: {len(points)} points")
        said = ", ".join(f"{count} {word}" for word, count in words.items())
        return Verdict("inconclusive", f"its points differ: {said}")
    catalogue, entry = reading.entry.suite.catalogue, reading.entry
    return judge(
        reading.summary,
        reading.value,
        reading.status,
        printed_for(entry, reported),
        margin_of(catalogue, entry.cell.task, entry.metric),
        data_source_of(reading),
        catalogue.tier(tier).budget,
    )


def _place_of(entry: Entry) -> tuple[str, str, str, str, str, str]:
    # What is printed is filed under the cell as the artifact names it, and stands beside each reading of it.
    asked = entry.asked
    return entry.artifact, asked.task, asked.method, asked.slug, entry.metric, entry.label


def _summary_at(curve: pd.DataFrame, index: float) -> Summary:
    at = {name: float(curve[name].loc[index]) for name in ("mean", "low", "high", "error")}
    n = int(curve["n"].loc[index])
    return Summary(**at, n=n, degrees=n - 1)


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
        agrees = same_value(option, printed.value)
        return Verdict("agrees" if agrees else "disagrees", "a setting, as resolved")
    if not printed.is_number:
        return Verdict("unreported", f"the paper has {printed.value} in the place of a number")
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

    Where the paper prints a standard error its mean is uncertain too, and what is read off a drawing may lie
    anywhere within the error of reading; else the printed value is taken as exact.
    """
    difference = ours.mean - float(printed.value)
    if ours.n < FEWEST_SEEDS:
        why = f"{'one seed' if ours.n == 1 else f'{ours.n} seeds'}; an interval takes {FEWEST_SEEDS}"
        needed = FEWEST_SEEDS if ours.n == 1 else seeds_needed(ours, printed, margin)
        return Verdict("inconclusive", why, difference, seeds_needed=needed)
    half = float(_half(ours, printed, np.array([ours.n]))[0]) + printed.reading_error
    verdict = Verdict("inconclusive", "", difference, difference - half, difference + half)
    if abs(difference) + half < margin:
        return replace(verdict, word="match", why=f"within {margin:g} either way")
    if abs(difference) - half > margin:
        return replace(verdict, word="differs", why=f"by more than {margin:g}")
    needed = seeds_needed(ours, printed, margin)
    why = f"the interval crosses the margin of {margin:g}"
    if printed.reading_error and _room(ours, printed, margin) <= 0:
        why += ", as the error of reading the printed value does alone"
    elif not needed:
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
    seeds = np.arange(FEWEST_SEEDS, MOST_SEEDS + 1)
    enough = np.flatnonzero(_half(ours, printed, seeds) < _room(ours, printed, margin))
    return int(seeds[enough[0]]) if len(enough) else 0


def _room(ours: Summary, printed: Printed, margin: float) -> float:
    """What is left between difference and margin once the printed value is as far off as it may be."""
    return abs(margin - abs(ours.mean - float(printed.value))) - printed.reading_error


def margin_of(catalogue: Catalogue, task: str, metric: str) -> float | None:
    """How far a number may lie from the printed one: 0 for counts, the protocol's margin for its score.

    The points of the curve that ends in the score have the same margin; what is timed has none.
    """
    if metric in catalogue.metrics and catalogue.metrics[metric].deterministic:
        return 0.0
    protocol = catalogue.protocols[catalogue.tasks[task].protocol]
    return protocol.margin if metric in (protocol.score, protocol.curve) else None
