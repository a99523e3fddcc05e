"""Promote a finished run into the committed store: `python -m bench.store --tier quick`.

A command of its own and no rule, since what is in git is the output of no rule.
"""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cells import gather
from bench.record import write_atomically
from bench.spec.errors import UserError, exit_with_message
from bench.spec.jobs import all_jobs
from bench.spec.load import ROOT, load_catalogue

STORED = ROOT / "results" / "stored"


@exit_with_message
def main(tier: Annotated[str, typer.Option(help="quick, cpu or paper")]) -> None:
    """Write `results/stored/<tier>/cells.csv`; UserError where the run is not finished or is out of date."""
    load_catalogue().tier(tier)
    waiting = [job for job in all_jobs(tier) if job.state != "current"]
    if waiting:
        raise UserError(
            f"{len(waiting)} jobs of the {tier} tier are missing or out of date, the first being "
            f"{waiting[0].stage} of {waiting[0].cell.key}. Run: snakemake all --config tier={tier}"
        )
    cells = gather(tier)
    broken = cells[cells["status"].str.startswith(("failed", "skipped"))]
    if len(broken):
        first = broken.iloc[0]
        raise UserError(
            f"{len(broken)} rows of the {tier} tier did not end well, the first being {first['task']}/"
            f"{first['method']}/{first['settings']} ({first['status']}). Mend the cause, then run: "
            f"snakemake retry --config tier={tier}"
        )
    write_atomically(STORED / tier / "cells.csv", cells.to_csv(index=False, lineterminator="\n"))
    print(f"stored {len(cells)} rows in results/stored/{tier}/cells.csv")


if __name__ == "__main__":
    typer.run(main)
