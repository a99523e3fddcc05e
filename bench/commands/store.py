"""Promote a finished run into the committed store: `python -m bench store --tier quick`.

Its rule has no output, since what is in git is the output of no rule. With `--partial` what is finished is
promoted, and what the store holds of the rest stays as it is: so a long tier grows run by run.
"""

from __future__ import annotations

import shutil
from typing import Annotated

import pandas as pd
import typer

from bench.analysis.completeness import ended_well, finished_jobs
from bench.analysis.readings import job_rows
from bench.catalogue.choices import VARIABLE as READING_VARIABLE
from bench.catalogue.choices import ReadingName
from bench.catalogue.folders import VARIABLE
from bench.errors import UserError, exit_with_message
from bench.files import placed, shown, write_atomically
from bench.work import numerics
from bench.work.extra_seeds import NAME, seeds_for, seeds_text
from bench.work.jobs import Job
from bench.work.plan import all_jobs, shown_jobs
from bench.work.promotion import renewed
from bench.work.record import Key, Record
from bench.work.stored import CELL_COLUMNS, restoring, stored_texts
from bench.work.suite import Suite


def promotable(suite: Suite, tier: str, partial: bool) -> list[Job]:
    """The jobs of this run that can be promoted; UserError, unless `partial`, where it is not finished.

    A damaged file is not promoted: the state of its job says so, or whoever reads it. What a tier took from
    the store as done stays there as it is.
    """
    if partial:
        return [job for job in all_jobs(suite, tier) if job.state == "current" and ended_well(job)]
    jobs = finished_jobs(suite, tier, ("current", "stored"), "promote what there is with --partial")
    return [job for job in jobs if job.state == "current"]


def promoted(suite: Suite, tier: str, jobs: list[Job]) -> tuple[dict[Key, Record], pd.DataFrame]:
    """The records and numbers the store is to hold: of these jobs, and what it holds of the tier's others."""
    own = set(jobs)
    records: dict[Key, Record] = {}
    frames = [pd.DataFrame(columns=CELL_COLUMNS)]
    before = suite.store.cells(tier)
    for job in all_jobs(suite, tier):
        record = job.recorded() if job in own else job.stored
        if record is None:
            continue
        records[job.key] = record
        if job.row.in_cells:
            frames.append(job_rows(job) if job in own else _kept(job, record.fingerprint, before))
    return records, pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)


def _kept(job: Job, fingerprint: str, before: dict[str, pd.DataFrame]) -> pd.DataFrame:
    if fingerprint not in before:
        path = shown(job.suite.store.folder / job.tier / "cells.csv")
        raise UserError(
            f"{path}: no row of {job.stage} of {job.cell.key} seed {job.seed}, of which records.jsonl has "
            f"the record. {restoring(job.suite.store.folder / job.tier)}"
        )
    return before[fingerprint]


def _asked(suite: Suite, tier: str, records: dict[Key, Record]) -> dict[str, int]:
    """What to ask for so that the store is read with the seeds that its records have beyond the budgets'."""
    planned = set(shown_jobs(suite, tier, suite.catalogue.artifacts))
    return seeds_for(job for job in all_jobs(suite, tier) if job.key in records and job not in planned)


@exit_with_message
def main(
    tier: Annotated[str, typer.Option(help="quick, cpu or paper")],
    partial: Annotated[
        bool, typer.Option(help="promote what is finished, keep the rest of the store")
    ] = False,
) -> None:
    """Write `results/stored/<tier>`; UserError where the run is not finished or is out of date."""
    suite = Suite.from_environment()
    suite.catalogue.tier(tier)
    suite.source.refuse_store("a store cannot be promoted from itself")
    if suite.catalogue.given:
        raise UserError(
            f"config key papers (environment variable {VARIABLE}): the committed store holds what the suite "
            "runs by itself, and nothing of other papers. Leave it out."
        )
    if suite.catalogue.reading != ReadingName():
        raise UserError(
            f"config key reading (environment variable {READING_VARIABLE}): the committed store holds what "
            "the suite runs by default, and of other readings what artifacts name. Leave it out."
        )
    if numerics.chosen() != numerics.NATIVE:
        raise UserError(
            f"config key numerics (environment variable {numerics.VARIABLE}): the committed store holds what "
            f"the suite runs by default, and nothing under {numerics.chosen()} numerics. Leave it out."
        )
    jobs = promotable(suite, tier, partial)
    records, cells = promoted(suite, tier, jobs)
    folder = suite.store.folder / tier
    asked = _asked(suite, tier, records)
    with renewed(folder) as new:
        for job in jobs:
            if job.arrays.name in records[job.key].files:
                with placed(new / "arrays" / job.arrays_name) as temporary:
                    shutil.copyfile(suite.source.arrays(job), temporary)
        for name, text in stored_texts(records).items():
            write_atomically(new / name, text)
        write_atomically(new / "cells.csv", cells.to_csv(index=False, lineterminator="\n"))
        if asked:
            write_atomically(new / NAME, seeds_text(asked))
    kept = len(records) - len(jobs)
    print(
        f"stored {len(cells)} rows of {len(records)} jobs in results/stored/{tier}"
        + (f", {kept} of them as they were" if kept else "")
    )
