"""What cannot be computed from printed numbers: findings that a file states, each with its source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

import pandas as pd
import pandera.pandas as pa

from bench.analysis.audit.finding import Finding, Verdict
from bench.analysis.reported import NAME, check_names, column, one_of, read_checked
from bench.catalogue.catalogue import Catalogue

COLUMNS = ["paper", "check", "place", "printed", "found", "verdict", "source"]
SCHEMA = pa.DataFrameSchema(
    {
        "paper": column(NAME, "must be the folder of a paper"),
        "check": column("[a-z][a-z ]*", "must be a heading in small letters"),
        "place": column(".+", "must say where in the paper"),
        "printed": column(".+", "must say what the paper has there"),
        "found": column(".+", "must say what stands against it"),
        "verdict": column(one_of(get_args(Verdict)), f"must be one of {', '.join(get_args(Verdict))}"),
        "source": column(".+", "must say where it was read"),
    },
    strict=True,
    ordered=True,
)


def load_stated(catalogue: Catalogue, files: Iterable[Path]) -> pd.DataFrame:
    """The stated findings of the files, all columns text.

    Raises UserError naming file, row and column where one is not what the schema asks for, or its paper is
    unknown.
    """
    frames = [pd.DataFrame(columns=COLUMNS)]
    for path in files:
        frames.append(read_checked(path, COLUMNS, SCHEMA))
        check_names(path, frames[-1], "paper", set(catalogue.papers))
    return pd.concat(frames, ignore_index=True)


def stated(rows: pd.DataFrame) -> Iterator[Finding]:
    """Each as a finding."""
    for row in rows.to_dict("records"):
        place = f"{row['paper']}, {row['place']}"
        yield Finding(row["check"], place, row["printed"], row["found"], row["verdict"], row["source"])
