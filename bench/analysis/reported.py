"""Numbers printed in the papers: `reported/*.csv`, checked against a schema and the catalogue.

They are kept apart from ours: a table shows both side by side, nothing ever averages over both.
Values stay the strings that were printed, since 94.21 and 94.210 do not say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pandera.errors
import pandera.pandas as pa

from bench.catalogue.catalogue import Catalogue
from bench.errors import UserError, unknown

COLUMNS = [
    "paper", "artifact", "task", "method", "settings", "metric", "value", "spread", "spread_kind",
    "printed_environment", "printed_dataset", "printed_method", "printed_metric", "source", "confidence",
]  # fmt: skip
NUMBER = r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?"
NAME = r"[a-z][a-z0-9-]*"
REFERENCE = "reference"  # in the place of a paper: a number that others publish of the same thing


@dataclass(frozen=True)
class Printed:
    """A number as printed; `error` is its standard error over `seeds`, 0 where none is known."""

    value: str
    error: float = 0.0
    seeds: int = 0
    spread_text: str = ""


def find_printed(
    reported: pd.DataFrame, artifact: str, task: str, method: str, settings: str, metric: str
) -> Printed | None:
    """What an artifact prints for a cell; None where its value is not known."""
    wanted = {"artifact": artifact, "task": task, "method": method, "settings": settings, "metric": metric}
    rows = reported[(reported[list(wanted)] == list(wanted.values())).all(axis=1)]
    if rows.empty:
        return None
    value, spread, kind = rows.iloc[0][["value", "spread", "spread_kind"]]
    if not spread:
        return Printed(value)
    seeds = re.search(r"standard error over (\d+) seeds", kind)
    if seeds is None:
        return Printed(value, spread_text=f"{spread} (kind not stated)")
    return Printed(value, float(spread), int(seeds[1]), f"{spread} (s.e., {seeds[1]} seeds)")


def _matches(pattern: str, meaning: str) -> pa.Check:
    return pa.Check.str_matches(rf"^(?:{pattern})$", error=meaning)


def _column(pattern: str, meaning: str) -> pa.Column:
    return pa.Column(str, _matches(pattern, meaning))


SCHEMA = pa.DataFrameSchema(
    {
        "paper": _column(NAME, "must be the folder of a paper, or reference"),
        "artifact": _column(r"|[a-z][a-z0-9_]*", "must be empty or the name of an artifact"),
        "task": _column(f"|{NAME}", "must be empty, 'average', or the id of a task"),
        "method": _column(f"|{NAME}", "must be empty or the id of a method"),
        "settings": _column(r"default|\w+=[^,=]+(,\w+=[^,=]+)*", "must be 'default' or key=value pairs"),
        "metric": _column(r"[a-z][a-z0-9_]*", "must be the id of a metric or an option"),
        "value": _column(rf"{NUMBER}|[A-Za-z]+", "must be a number or one word, as printed"),
        "spread": _column(f"|{NUMBER}", "must be empty or a number"),
        "spread_kind": _column(".*", ""),
        "printed_environment": _column(".*", ""),
        "printed_dataset": _column(".*", ""),
        "printed_method": _column(".*", ""),
        "printed_metric": _column(".+", "must say what the paper calls the number"),
        "source": _column(".+", "must say where the number was read"),
        "confidence": _column("(high|medium|low).*", "must begin with high, medium or low"),
    },
    strict=True,
    ordered=True,
)


def load_reported(catalogue: Catalogue, files: Iterable[Path]) -> pd.DataFrame:
    """Every reported number of the CSV files, all columns text; an empty field is "".

    Raises UserError naming file, row and column where a file is not what the schema asks for, or names a
    paper or an artifact that the catalogue does not hold.
    """
    frames = [_load(catalogue, path) for path in files]
    if not frames:
        raise UserError("results/reported: no CSV files here. Restore them: git checkout -- results/reported")
    return pd.concat(frames, ignore_index=True)


def _load(catalogue: Catalogue, path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable CSV file: {error}. Correct it and run again.") from None
    names = [str(name) for name in frame.columns]
    if names != COLUMNS:
        missing = [name for name in COLUMNS if name not in names]
        wrong = (missing or [name for name in names if name not in COLUMNS] or names)[0]
        raise UserError(
            f"{path}: header: column {wrong!r} is missing, unknown or misplaced. "
            f"The columns are, in this order, {', '.join(COLUMNS)}."
        )
    try:
        SCHEMA.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        case = error.failure_cases.sort_values("index", kind="stable").iloc[0]
        row, column = int(case["index"]), case["column"]
        raise _refused(path, row, column, frame[column][row], str(case["check"])) from None
    for row in frame.index[(frame["spread"] == "") != (frame["spread_kind"] == "")]:
        value = frame["spread_kind"][row]
        raise _refused(path, row, "spread_kind", value, "must be given with a spread, and only with one")
    for column, known in (
        ("paper", {*catalogue.papers, REFERENCE}),
        ("artifact", {*catalogue.artifacts, ""}),
    ):
        for row in frame.index[~frame[column].isin(known)]:
            raise unknown(column, frame[column][row], known, f"{path}: row {row + 2}, column {column}")
    for row in frame.index[frame.duplicated()]:
        raise _refused(path, row, "value", frame["value"][row], "is a row that the file already holds")
    return frame


def _refused(path: Path, row: int, column: str, value: str, problem: str) -> UserError:
    """The message; rows are counted as an editor shows them, the header being line 1."""
    return UserError(
        f"{path}: row {row + 2}, column {column}: {problem}, got {value!r}. Correct the file and run again."
    )
