"""What the checks of the audit have in common: a finding, and what a printed number stands for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from bench.analysis.reported import printed_of

Verdict = Literal["agrees", "conflicts", "noted", "open"]


@dataclass(frozen=True)
class Finding:
    """One thing that was checked: where, what is printed, what it ought to be, and where it was read."""

    check: str
    place: str
    printed: str
    found: str
    verdict: Verdict
    source: str


def half_unit(text: str) -> float:
    """Half a unit of a number's last printed digit: 0.005 for 94.21."""
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


def bounds(text: str, reading_error: float = 0.0) -> tuple[float, float]:
    """The least and the greatest value that are printed so, or read so off a drawing with that error."""
    reach = max(half_unit(text), reading_error)
    return float(text) - reach, float(text) + reach


def bounds_of(row: pd.Series) -> tuple[float, float]:
    """The least and the greatest value that a reported number stands for."""
    printed = printed_of(row)
    return bounds(printed.value, printed.reading_error)


def sources(rows: pd.DataFrame) -> str:
    """Where some numbers were read, each place once."""
    return "; ".join(dict.fromkeys(rows["source"]))


def grouped(rows: pd.DataFrame, columns: list[str]) -> Iterator[tuple[list[str], pd.DataFrame]]:
    """(the values of some columns of text, the rows that share them) of each group, in order."""
    for key, group in rows.groupby(columns):
        yield [str(value) for value in key], group


def numbers(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a number, and no word in its place."""
    return rows[[printed_of(row).is_number for _, row in rows.iterrows()]]
