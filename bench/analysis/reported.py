"""Numbers printed in the papers: `reported/*.csv`, checked against a schema and the catalogue.

They are kept apart from ours: a table shows both side by side, nothing ever averages over both.
Values stay the strings that were printed, since 94.21 and 94.210 do not say the same. How each was read
is its `confidence`, one of a few fixed words; what is no printed cell, however it was found, belongs to no
artifact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.errors
import pandera.pandas as pa

from bench.catalogue.catalogue import Catalogue
from bench.errors import UserError, unknown

COLUMNS = [
    "paper", "artifact", "task", "method", "settings", "metric", "index", "label", "value", "spread",
    "spread_kind", "printed_environment", "printed_dataset", "printed_method", "printed_metric", "source",
    "confidence",
]  # fmt: skip
# What tells one number of an artifact from every other.
PLACE = ["artifact", "task", "method", "settings", "metric", "index", "label"]
NUMBER = r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?"
NAME = r"[a-z][a-z0-9-]*"
REFERENCE = "reference"  # in the place of a paper: a number that others publish of the same thing
READING_ERROR = "reading error"  # how the kind of such a spread begins
DIGITISED = "digitised"
# How a number was read. These may stand in an artifact, where all but `printed` are marked; others may not.
IN_AN_ARTIFACT = {
    "printed": "read in the paper itself",
    "cited": "a cell of the baseline's own paper, which the paper borrows; the paper's own cell was not seen",
    "quoted": "as a later paper or a third party prints it of the paper; the paper's own cell was not seen",
    "companion": "printed in the companion paper of the same first author; the paper itself leaves it open",
    DIGITISED: "read off a drawn curve or bar; the error behind ± is that of reading, not of seeds",
}
BESIDE = {
    "user-report": "a user's own run, told in an issue",
    "calculated": "our arithmetic on printed numbers, or a count of the official classes",
    "code": "a constant or default of code",
}


@dataclass(frozen=True)
class Printed:
    """A number as printed, or the one word in its place, as OOM where memory ran out.

    `error` is its standard error over `seeds`, 0 where none is known. `reading_error` bounds what a number
    read off a drawing may be off by: it says nothing of seeds, and no number of seeds makes it smaller.
    """

    value: str
    error: float = 0.0
    seeds: int = 0
    reading_error: float = 0.0
    spread_text: str = ""
    confidence: str = "printed"

    @property
    def is_number(self) -> bool:
        """Whether a number is printed, and no word in its place."""
        return re.fullmatch(NUMBER, self.value) is not None

    @property
    def text(self) -> str:
        """Value and spread, with how it was read in brackets where that was not in the paper."""
        return marked(
            f"{self.value} ± {self.spread_text}" if self.spread_text else self.value, self.confidence
        )


def marked(text: str, confidence: str) -> str:
    """A number's text with how it was read: `44.0 (cited)`, `98.5 ± 1.1 (kind not stated; quoted)`."""
    if confidence in ("printed", ""):
        return text
    return f"{text.removesuffix(')')}; {confidence})" if text.endswith(")") else f"{text} ({confidence})"


def explained(said: str) -> str:
    """What stands in the brackets of `marked`, with the meaning of each word of confidence."""
    parts = said.split("; ")
    return "; ".join(f"{part}: {IN_AN_ARTIFACT[part]}" if part in IN_AN_ARTIFACT else part for part in parts)


def find_printed(
    reported: pd.DataFrame, artifact: str, task: str, method: str, settings: str, metric: str, label: str = ""
) -> Printed | None:
    """What an artifact prints for a cell as a whole; None where its value is not known.

    `label` is that of the artifact's entry: a number printed for one entry of a cell is not the other's.
    """
    rows = _rows_of(reported, artifact, task, method, settings, metric, label)
    rows = rows[rows["index"] == ""]
    return None if rows.empty else printed_of(rows.iloc[0])


def find_curve(
    reported: pd.DataFrame, artifact: str, task: str, method: str, settings: str, metric: str, label: str = ""
) -> dict[float, Printed]:
    """The points that an artifact draws for a cell, by their index (an episode, say, the first being 1)."""
    rows = _rows_of(reported, artifact, task, method, settings, metric, label)
    points = rows[rows["index"] != ""]
    return {float(row["index"]): printed_of(row) for _, row in points.iterrows()}


def _rows_of(
    reported: pd.DataFrame, artifact: str, task: str, method: str, settings: str, metric: str, label: str
) -> pd.DataFrame:
    wanted = {"artifact": artifact, "task": task, "method": method, "settings": settings, "metric": metric}
    # Column by column: comparing a frame with a row takes five times as long.
    fits = [reported[name].to_numpy() == value for name, value in wanted.items()]
    fits.append(reported["label"].isin(["", label]).to_numpy())
    return reported.iloc[np.flatnonzero(np.logical_and.reduce(fits))]


def printed_of(row: pd.Series) -> Printed:
    """The number of one row of `reported`."""
    value, spread, kind, confidence = row[["value", "spread", "spread_kind", "confidence"]]
    if not spread:
        return Printed(value, confidence=confidence)
    if kind.startswith(READING_ERROR):
        said = f"{spread} ({READING_ERROR})"
        return Printed(value, reading_error=float(spread), spread_text=said, confidence=confidence)
    seeds = re.search(r"standard error over (\d+) seeds", kind)
    if seeds is None:
        return Printed(value, spread_text=f"{spread} (kind not stated)", confidence=confidence)
    said = f"{spread} (s.e., {seeds[1]} seeds)"
    return Printed(value, float(spread), int(seeds[1]), spread_text=said, confidence=confidence)


def one_of(words: Iterable[str]) -> str:
    """The pattern of a column that holds one of some words."""
    return "|".join(map(re.escape, words))


def column(pattern: str, meaning: str) -> pa.Column:
    """A column of text that fits a pattern as a whole; `meaning` is what a message says of it."""
    return pa.Column(str, pa.Check.str_matches(rf"^(?:{pattern})$", error=meaning))


SCHEMA = pa.DataFrameSchema(
    {
        "paper": column(NAME, "must be the folder of a paper, or reference"),
        "artifact": column(r"|[a-z][a-z0-9_]*", "must be empty or the name of an artifact"),
        "task": column(f"|{NAME}", "must be empty, 'average', or the id of a task"),
        "method": column(f"|{NAME}", "must be empty or the id of a method"),
        "settings": column(r"default|\w+=[^,=]+(,\w+=[^,=]+)*", "must be 'default' or key=value pairs"),
        "metric": column(r"[a-z][a-z0-9_]*", "must be the id of a metric or an option"),
        "index": column(f"|{NUMBER}", "must be empty, or the place of a point on its curve"),
        "label": column(".*", ""),
        "value": column(rf"{NUMBER}|[A-Za-z]+", "must be a number or one word, as printed"),
        "spread": column(f"|{NUMBER}", "must be empty or a number"),
        "spread_kind": column(".*", ""),
        "printed_environment": column(".*", ""),
        "printed_dataset": column(".*", ""),
        "printed_method": column(".*", ""),
        "printed_metric": column(".+", "must say what the paper calls the number"),
        "source": column(".+", "must say where the number was read"),
        "confidence": column(
            one_of([*IN_AN_ARTIFACT, *BESIDE]), f"must be one of {', '.join([*IN_AN_ARTIFACT, *BESIDE])}"
        ),
    },
    strict=True,
    ordered=True,
)


def load_reported(catalogue: Catalogue, files: Iterable[Path]) -> pd.DataFrame:
    """Every reported number of the CSV files, all columns text; an empty field is "".

    Raises UserError naming file, row and column where a file is not what the schema asks for, names a paper
    or an artifact that the catalogue does not hold, or says two things of one place.
    """
    frames = [_load(catalogue, path) for path in files]
    if not frames:
        raise UserError("results/reported: no CSV files here. Restore them: git checkout -- results/reported")
    return pd.concat(frames, ignore_index=True)


def read_checked(path: Path, columns: list[str], schema: pa.DataFrameSchema) -> pd.DataFrame:
    """A CSV file as text, an empty field being "".

    Raises UserError naming file, row and column where it is no CSV file, has other columns or does not fit.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable CSV file: {error}. Correct it and run again.") from None
    names = [str(name) for name in frame.columns]
    if names != columns:
        missing = [name for name in columns if name not in names]
        wrong = (missing or [name for name in names if name not in columns] or names)[0]
        raise UserError(
            f"{path}: header: column {wrong!r} is missing, unknown or misplaced. "
            f"The columns are, in this order, {', '.join(columns)}."
        )
    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        case = error.failure_cases.sort_values("index", kind="stable").iloc[0]
        row, name = int(case["index"]), case["column"]
        raise refused(path, row, name, frame[name][row], str(case["check"])) from None
    for row in frame.index[frame.duplicated()]:
        raise refused(path, row, columns[0], frame[columns[0]][row], "is a row that the file already holds")
    return frame


def check_names(path: Path, frame: pd.DataFrame, name: str, known: set[str]) -> None:
    """UserError, with the likeliest of the known names, where a column holds another."""
    for row in frame.index[~frame[name].isin(known)]:
        raise unknown(name, frame[name][row], known, f"{path}: row {row + 2}, column {name}")


def _load(catalogue: Catalogue, path: Path) -> pd.DataFrame:
    frame = read_checked(path, COLUMNS, SCHEMA)
    check_names(path, frame, "paper", {*catalogue.papers, REFERENCE})
    check_names(path, frame, "artifact", {*catalogue.artifacts, ""})
    for wrong, name, problem in _rules(frame):
        for row in frame.index[wrong]:
            raise refused(path, row, name, frame[name][row], problem)
    return frame


def _rules(frame: pd.DataFrame) -> Iterator[tuple[pd.Series, str, str]]:
    """(rows that break a rule, the column to name, what the rule asks) of every rule on whole rows."""
    spread, kind, confidence = frame["spread"], frame["spread_kind"], frame["confidence"]
    in_artifact = frame["artifact"] != ""
    yield (spread == "") != (kind == ""), "spread_kind", "must be given with a spread, and only with one"
    drawn = (confidence == DIGITISED) & (spread != "")
    is_reading = kind.str.startswith(READING_ERROR)
    yield (
        drawn != is_reading, "spread_kind",
        f"must begin with {READING_ERROR!r} for what is {DIGITISED}, and for nothing else",
    )  # fmt: skip
    unsure = (confidence == DIGITISED) & (spread == "") & frame["value"].str.match(rf"^(?:{NUMBER})$")
    yield unsure, "spread", f"must be the reading error of a number that is {DIGITISED}"
    yield (
        in_artifact & confidence.isin(BESIDE), "artifact",
        f"must be empty for what is {' or '.join(BESIDE)}: that is no printed cell, and stands beside none",
    )  # fmt: skip
    yield (
        in_artifact & (frame["paper"] == REFERENCE), "artifact",
        f"must be empty where paper is {REFERENCE}: another paper's number is none of this artifact",
    )  # fmt: skip
    yield (
        ~in_artifact & ((frame["index"] != "") | (frame["label"] != "")), "artifact",
        "must name the figure that an index or a label belongs to",
    )  # fmt: skip
    cells = frame[in_artifact & (frame["task"] != "")]
    again = cells.duplicated(PLACE) & ~cells.duplicated([*PLACE, "value"])
    yield (
        again.reindex(frame.index, fill_value=False), "value",
        "is a second value of a place that the file already has one for",
    )  # fmt: skip


def refused(path: Path, row: int, name: str, value: str, problem: str) -> UserError:
    """The message; rows are counted as an editor shows them, the header being line 1."""
    return UserError(
        f"{path}: row {row + 2}, column {name}: {problem}, got {value!r}. Correct the file and run again."
    )
