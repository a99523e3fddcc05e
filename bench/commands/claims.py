"""Test every claim of the papers on a tier's cells: `python -m bench claims --tier quick`.

Writes `results/<tier>/claims.csv` (one row a finding), `claims_units.csv` (one row a unit, from which each
verdict can be redone by hand) and `claims.md` (one line a claim, then each in full).
"""

from __future__ import annotations

from typing import Annotated

import pandas as pd
import typer

from bench.analysis.claims_page import page_of
from bench.analysis.claims_table import tables_of
from bench.errors import UserError, exit_with_message
from bench.files import write_atomically
from bench.work.claims import load_claims
from bench.work.gathered import checked, files_of, seal
from bench.work.plan import shown_jobs
from bench.work.suite import Suite


def read_cells(tier: str) -> pd.DataFrame:
    """The tidy numbers of a tier; UserError, with the remedy, where there are none or they are damaged."""
    files = files_of(tier, "cells.csv")
    path = files[0]
    if not path.exists():
        raise UserError(
            f"{path}: missing, so there are no cells to test claims on. Make them with `snakemake claims "
            f"--config tier={tier}`; with `source=stored` behind it they are read from the committed store."
        )
    remedy = f"Make it again: snakemake claims --config tier={tier}"
    return pd.read_csv(checked(files, remedy), low_memory=False)


def of_budgets(suite: Suite, tier: str, cells: pd.DataFrame) -> pd.DataFrame:
    """The numbers of the seeds that the tier's budgets give.

    What `bench settle` added is left out: how many seeds those are was chosen by what they showed, and an
    interval for a fixed number of seeds does not hold for them.
    """
    jobs = shown_jobs(suite, tier, suite.catalogue.artifacts)
    known = {(job.cell.task, job.cell.method, job.cell.slug, job.seed) for job in jobs}
    names = zip(cells["task"], cells["method"], cells["settings"], cells["seed"], strict=True)
    return cells[[name in known for name in names]]


@exit_with_message
def main(tier: Annotated[str, typer.Option(help="quick, cpu or paper")]) -> None:
    """Write claims.csv and claims.md of the tier."""
    suite = Suite.from_environment()
    suite.catalogue.tier(tier)
    claims, cells = load_claims(suite), of_budgets(suite, tier, read_cells(tier))
    table, units = tables_of(suite, claims, cells, tier)
    files = files_of(tier, "claims.csv")
    findings, numbers, page = files
    heading = f"{tier} tier" + suite.source.said.replace(" from", ", from", 1) + suite.catalogue.reading_said
    write_atomically(findings, table.to_csv(index=False, lineterminator="\n"))
    write_atomically(numbers, units.to_csv(index=False, lineterminator="\n"))
    write_atomically(page, page_of(suite.catalogue, claims, table, heading))
    seal(files)
    verdicts = table.drop_duplicates("claim")["claim_verdict"].value_counts()
    print(", ".join(f"{count} {word}" for word, count in verdicts.items()) + f": {page}")
