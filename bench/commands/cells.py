"""Gather every number of a tier: `python -m bench cells --tier quick` writes `results/quick/cells.csv`."""

from __future__ import annotations

from typing import Annotated

import pandas as pd
import typer

from bench.analysis.readings import job_rows
from bench.errors import exit_with_message
from bench.files import write_atomically
from bench.work.gathered import files_of, seal
from bench.work.plan import all_jobs
from bench.work.stored import CELL_COLUMNS
from bench.work.suite import Suite


def gather(suite: Suite, tier: str) -> pd.DataFrame:
    """Every number of the tier's records, with what identifies and qualifies it."""
    frames = [job_rows(job) for job in all_jobs(suite, tier) if job.row.in_cells]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=CELL_COLUMNS)


@exit_with_message
def main(tier: Annotated[str, typer.Option(help="quick, cpu or paper")]) -> None:
    """Write the tidy file; a cell without a number has one row that says why."""
    suite = Suite.from_environment()
    suite.catalogue.tier(tier)
    cells = gather(suite, tier)
    files = files_of(tier, "cells.csv")
    write_atomically(files[0], cells.to_csv(index=False, lineterminator="\n"))
    seal(files)
    print(f"{len(cells)} rows")
