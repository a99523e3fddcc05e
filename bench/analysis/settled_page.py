"""What is settled, as tables: `settled.csv` and `settled.md`, and the plan of what is open."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import pandas as pd
from rich.table import Table

from bench.analysis.sequential import Design
from bench.analysis.settling import NOT_HERE, UNDECIDED, Standing, in_order, sum_of
from bench.work.jobs import Job


def table_of(standings: Sequence[Standing]) -> pd.DataFrame:
    """One row a claim: its word, the seeds behind it, the interval's confidence, and what it still costs."""
    return pd.DataFrame(
        [
            {
                "claim": one.needs.name, "verdict": one.word, "scope": one.scope, "seeds": one.seeds,
                "confidence": one.confidence, "why": one.why, "chance_at_next_look": one.chance,
                "core_seconds_to_next_look": sum_of(one.next_jobs),
                "core_seconds_at_most": sum_of(one.all_jobs),
            }
            for one in standings
        ]
    )  # fmt: skip


def counted(standings: Sequence[Standing]) -> str:
    """How many claims have which word."""
    words = pd.Series([one.word for one in standings], dtype=str).value_counts()
    return ", ".join(f"{count} {word}" for word, count in words.items())


def page_of(standings: Sequence[Standing], design: Design, heading: str) -> str:
    """The page: how claims are settled, one line for each that is or may be, and those out of reach."""
    looks, shares = (", ".join(str(one) for one in ones) for ones in (design.looks, design.shares))
    lines = [
        f"# Claims settled in stages, {heading}\n",
        f"{counted(standings)}.\n",
        f"Each claim is looked at with {looks} seeds. Over all claims and looks together a word is wrong "
        f"with a probability of at most {design.error:g}, of which the looks spend {shares}. `futile`: the "
        "last look leaves the claim open, and says between what bounds the effect lies. Claims of counts and "
        "of turns are decided at once, and spend nothing. docs/statistics.md has the rules.\n",
        "| claim | verdict | seeds | confidence | why |",
        "|---|---|---|---|---|",
    ]
    lines += [_line(one) for one in standings if one.word != NOT_HERE]
    out = [one for one in standings if one.word == NOT_HERE]
    if out:
        lines += ["\n## Not to be decided in this tier\n", "| claim | why |", "|---|---|"]
        lines += [f"| {one.needs.name} | {one.why} |" for one in out]
    return "\n".join(lines) + "\n"


def _line(one: Standing) -> str:
    confidence = f"{100 * one.confidence:.3f} %" if one.seeds else ""
    word = f"{one.word} {one.scope}".rstrip()
    return f"| {one.needs.name} | {word} | {one.seeds or ''} | {confidence} | {one.why} |"


def plan_of(standings: Sequence[Standing], heading: str) -> Table:
    """Every claim: its word, seeds spent, and the core-seconds to its next look and at most."""
    table = Table(
        title=f"Claims of the {heading}",
        caption="Core-seconds are estimates of the tier file, from what is made already to the claim's next "
        "look and to its last. The chance is that of being decided at the next look, one half before the "
        "first.",
    )
    for column in ("claim", "word so far", "seeds", "next look", "at most", "chance", "why"):
        table.add_column(column, justify="right" if column in ("seeds", "next look", "at most") else "left")
    for one in standings:
        costs = (f"{sum_of(one.next_jobs):.0f}", f"{sum_of(one.all_jobs):.0f}", f"{one.chance:.2f}")
        table.add_row(
            one.needs.name, one.word, str(one.seeds), *(costs if one.is_open else ("", "", "")), one.why
        )
    return table


def hour_of(standings: Sequence[Standing], hours: float) -> Table:
    """The order in which to go on, as far as one core comes in so many hours: the looks it reaches."""
    table = Table(
        title=f"What the next hours decide: {hours:g} of one core",
        caption="First the claim with the highest chance of being decided for each core-second.",
    )
    for column in ("claim", "jobs", "core-seconds", "in all", "chance"):
        table.add_column(column, justify="left" if column == "claim" else "right")
    for (one, jobs), spent in within(standings, hours):
        table.add_row(
            one.needs.name, str(len(jobs)), f"{sum_of(jobs):.0f}", f"{spent:.0f}", f"{one.chance:.2f}"
        )
    expected = sum(one.chance for (one, _), _ in within(standings, hours))
    table.add_section()
    table.add_row("claims decided, as expected", "", "", "", f"{expected:.1f}")
    return table


def within(standings: Sequence[Standing], hours: float) -> list[tuple[tuple[Standing, list[Job]], float]]:
    """The open claims that reach their next look in so many hours, each with the core-seconds until then."""
    ordered = in_order(standings)
    spent = accumulate(sum_of(jobs) for _, jobs in ordered)
    return [(one, sum_) for one, sum_ in zip(ordered, spent, strict=True) if sum_ <= 3600 * hours]


def open_words(standings: Sequence[Standing]) -> int:
    """How many claims are still open."""
    return sum(one.word == UNDECIDED for one in standings)
