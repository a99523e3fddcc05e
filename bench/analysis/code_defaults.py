"""Settings and constants found in code, and counts of official classes: `reported/code_defaults.csv`.

None is a printed number, whatever table it bears on: no artifact reads them, and only the audit holds them
against what is printed.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from bench.analysis.reported import NAME, NUMBER, REFERENCE, check_names, column, read_checked
from bench.catalogue.catalogue import Catalogue

COLUMNS = [
    "paper", "bears_on", "part", "environment", "dataset", "method", "quantity", "name", "value", "source",
    "confidence",
]  # fmt: skip
SCHEMA = pa.DataFrameSchema(
    {
        "paper": column(NAME, "must be the folder of the paper whose code it is, or reference"),
        "bears_on": column(r"|[a-z][a-z0-9_]*", "must be empty or the name of an artifact"),
        "part": column(".*", ""),
        "environment": column(".*", ""),
        "dataset": column(".*", ""),
        "method": column(".*", ""),
        "quantity": column(".+", "must say what the number is"),
        "name": column(r"|[a-z][a-z0-9_]*", "must be empty or the name of an option or a metric"),
        "value": column(rf"{NUMBER}|[A-Za-z0-9]+", "must be a number or one word"),
        "source": column(".+", "must name repository, commit and file"),
        "confidence": column(
            "code|calculated", "must be code or calculated: what is printed has files of its own"
        ),
    },
    strict=True,
    ordered=True,
)


def load_code_defaults(catalogue: Catalogue, files: Iterable[Path]) -> pd.DataFrame:
    """Every row of the files, all columns text; an empty field is "".

    Raises UserError naming file, row and column where a file is not what the schema asks for, or names a
    paper, an artifact, an option or a metric that the catalogue does not hold.
    """
    options = {
        name
        for method in catalogue.methods
        for task in catalogue.tasks
        for name in catalogue.options(task, method)
    }
    frames = [pd.DataFrame(columns=COLUMNS)]
    for path in files:
        frame = read_checked(path, COLUMNS, SCHEMA)
        check_names(path, frame, "paper", {*catalogue.papers, REFERENCE})
        check_names(path, frame, "bears_on", {*catalogue.artifacts, ""})
        check_names(path, frame, "name", {*options, *catalogue.metrics, ""})
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
