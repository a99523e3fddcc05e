"""Whether a claim of a paper holds in a run: paired comparisons over cells, each with its interval.

Scores are compared pair by pair, a pair being one seed on one task under both sides: evaluation
streams leave the method out, so both meet the same episodes. The effect is the mean over pairs and
its interval a t-interval over them, in which what differs between tasks counts as noise.
Sizes and times are read once a cell and compared by ratio, the effect being the geometric mean
over tasks; counts are exact, and a ratio of times or memory is trusted within READING_FACTOR.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.aggregate import probability_of_improvement
from bench.analysis.readings import selected
from bench.analysis.statistics import Summary, summarise
from bench.catalogue.catalogue import Catalogue
from bench.work.availability import why_missing
from bench.work.cells import Cell, recorded_cell, selection_of
from bench.work.claims import Claim, Comparison, Side

Word = Literal["supported", "contradicted", "inconclusive", "not-run"]
# Fewer pairs than this say nothing of their own spread; our choice.
FEWEST_PAIRS = 3
# A ratio of two readings of time or memory is taken to be right within this factor either way; our choice.
READING_FACTOR = 1.25


@dataclass(frozen=True)
class Finding:
    """One comparison as a run answers it; numbers are NaN where there are none."""

    comparison: Comparison
    word: Word
    why: str
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    pairs: int = 0
    tasks: int = 0
    probability_of_improvement: float = math.nan
    data_source: str = ""
    budget: str = ""


def claim_word(findings: list[Finding]) -> tuple[Word, str]:
    """The verdict on a claim, and why: it holds only if all of its comparisons do, and falls with one."""
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


def examine(catalogue: Catalogue, claim: Claim, cells: pd.DataFrame, tier: str) -> list[Finding]:
    """Every comparison of a claim, answered from `cells` (columns as in cells.csv)."""
    return [compare(catalogue, comparison, cells, tier) for comparison in claim.comparisons]


def compare(catalogue: Catalogue, comparison: Comparison, cells: pd.DataFrame, tier: str) -> Finding:
    """One comparison, on those of its tasks for which every side has a number for one seed at least."""
    pairs: list[NDArray[np.float64]] = []
    used: list[pd.DataFrame] = []
    for number in range(len(comparison.tasks)):
        read: list[pd.DataFrame] = []
        first = _values(catalogue, comparison, comparison.first, number, cells, read)
        if isinstance(comparison.second, float):
            second = dict.fromkeys(first, comparison.second)
        else:
            second = _values(catalogue, comparison, comparison.second, number, cells, read)
        seeds = sorted(first.keys() & second.keys())
        if seeds:
            used += read
            pairs.append(np.array([[first[seed] for seed in seeds], [second[seed] for seed in seeds]]))
    if not pairs:
        return Finding(comparison, "not-run", _why_not(catalogue, comparison, cells, tier))
    summary = _ratio(catalogue, comparison, pairs) if comparison.is_ratio(catalogue) else _difference(pairs)
    word, why = _judge(catalogue, comparison, summary)
    rows = pd.concat(used)
    sources: set[str] = set() if comparison.is_ratio(catalogue) else set(rows["data_source"])
    equal = len({pair.shape[1] for pair in pairs}) == 1
    chance = probability_of_improvement(*np.stack(pairs, axis=1)) if equal else math.nan
    return Finding(
        comparison, word, why, summary.mean, summary.low, summary.high,
        sum(pair.shape[1] for pair in pairs), len(pairs), float(chance),
        " and ".join(sorted(sources)), " and ".join(sorted(set(rows["budget"]))),
    )  # fmt: skip


def _values(
    catalogue: Catalogue,
    comparison: Comparison,
    side: Side,
    number: int,
    cells: pd.DataFrame,
    read: list[pd.DataFrame],
) -> dict[int, float]:
    """A side's number for each seed on one task; the rows it comes from are added to `read`."""
    cell = side.cells(catalogue, comparison.tasks)[number]
    metric = catalogue.metrics[comparison.metric]
    record = recorded_cell(catalogue, metric.stage, cell)
    rows = cells[_of(cells, record) & (cells["metric"] == comparison.metric)].dropna(subset="value")
    if rows.empty:
        return {}
    chosen = selected(rows, selection_of(catalogue, cell), metric.better == "lower")
    means = chosen.groupby("seed")["value"].mean()
    values = {int(seed): side.times * mean for seed, mean in zip(means.index, means, strict=True)}
    if side.against:
        base = _values(catalogue, comparison, side.against, number, cells, read)
        values = {
            seed: value / base[seed] if comparison.is_ratio(catalogue) else value - base[seed]
            for seed, value in values.items()
            if seed in base
        }
    if values:
        read.append(rows)
    return values


def _difference(pairs: list[NDArray[np.float64]]) -> Summary:
    """Mean over all pairs of first less second, with a t-interval; none for fewer than FEWEST_PAIRS."""
    found = summarise(np.concatenate([first - second for first, second in pairs]))
    return found if found.n >= FEWEST_PAIRS else Summary(found.mean, math.nan, math.nan, found.n)


def _ratio(catalogue: Catalogue, comparison: Comparison, pairs: list[NDArray[np.float64]]) -> Summary:
    """Geometric mean over tasks of first over second; exact for counts, else within READING_FACTOR.

    A ratio of growths is made of two ratios, and trusted within the factor's square.
    """
    logarithm = float(np.mean([np.log(first / second).mean() for first, second in pairs]))
    exact = catalogue.metrics[comparison.metric].deterministic
    factor = 1.0 if exact else READING_FACTOR ** (len(comparison.sides()) / 2)
    ratio = math.exp(logarithm)
    return Summary(ratio, ratio / factor, ratio * factor, len(pairs))


def _judge(catalogue: Catalogue, comparison: Comparison, found: Summary) -> tuple[Word, str]:
    """The verdict on a comparison: the whole interval has to lie on one side of what counts."""
    smallest = comparison.smallest
    if math.isnan(found.low):
        return "inconclusive", f"{found.n} pairs; an interval takes {FEWEST_PAIRS}"
    if comparison.expect == "more":
        floor, ceiling = smallest, math.inf
    elif comparison.is_ratio(catalogue):
        floor, ceiling = 1 / smallest, smallest
    else:
        floor, ceiling = -smallest, smallest
    if floor < found.low and found.high < ceiling:
        return "supported", ""
    if found.high < floor or found.low > ceiling:
        return "contradicted", ""
    return "inconclusive", "the interval crosses the smallest effect that counts"


def _why_not(catalogue: Catalogue, comparison: Comparison, cells: pd.DataFrame, tier: str) -> str:
    """What keeps this tier from a comparison's number, of its first cell that has a reason."""
    stage = catalogue.metrics[comparison.metric].stage
    for cell in (cell for side in comparison.sides() for cell in side.cells(catalogue, comparison.tasks)):
        missing = why_missing(catalogue, tier, cell, stage)
        if missing:
            return missing
        status = cells.loc[
            _of(cells, recorded_cell(catalogue, stage, cell)) & (cells["status"] != "ok"), "status"
        ]
        if len(status):
            return str(status.iloc[0])
    return "no record yet"


def _of(cells: pd.DataFrame, cell: Cell) -> pd.Series:
    """Which rows are a cell's."""
    return (cells["task"] == cell.task) & (cells["method"] == cell.method) & (cells["settings"] == cell.slug)
