"""What stands once below a table, as a note, in the place of the same words in each of its cells."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator

import pandas as pd

from bench.analysis.labels import reason
from bench.analysis.reported import NUMBER

UNREPORTED = "unreported"
NO_NUMBER = ("not-run", "unavailable", "diverged", "skipped", "failed", "oom")
# A number, or the word in its place, with what is said of it in brackets.
BRACKETED = rf"(.+ ± \S+|{NUMBER}|[A-Za-z]+) \((?P<said>.+)\)"


def _marks() -> Iterator[str]:
    """a, b, ..., z, aa, bb, ...: the marks of notes."""
    times = 1
    while True:
        yield from (letter * times for letter in string.ascii_lowercase)
        times += 1


def with_notes(
    wide: pd.DataFrame, written: Callable[[str, str], str], *, brackets: bool
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table with marks for what is said below it once, and what is said -> mark.

    That is each reason there is no number, which becomes a dash, and with `brackets` also what a printed
    spread is, as in `0.60 (s.e., 10 seeds)`, and how a number was read that was not read in the paper, as in
    `44.0 (cited)`. `written` is given a cell's text and its mark, or none.
    """
    marks, notes = _marks(), dict[str, str]()

    def marked(text: str, said: str) -> str:
        if said not in notes:
            notes[said] = next(marks)
        return written(text, notes[said])

    def shown(text: str) -> str:
        if text == UNREPORTED:
            return written("", "")
        if text.startswith(NO_NUMBER):
            return marked("", reason(text))
        said = re.fullmatch(BRACKETED, text) if brackets else None
        return marked(said[1], said["said"]) if said else written(text, "") if text else text

    return wide.map(shown), notes


def without_silent(wide: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """The table without columns of reported numbers in which none is known, and whether it had any."""
    said_nothing = {"", UNREPORTED}
    silent = [name for name in wide.columns if name[1] == "reported" and set(wide[name]) <= said_nothing]
    return wide.drop(columns=silent), bool(silent)


SILENT = "'Reported' columns without any known value are omitted."
