"""Carry the store over a refactoring: `python -m bench restamp --since HEAD~1 --verify 10`.

Records that an earlier commit calls current, and that the code at hand would make under another fingerprint
from the same options, are given the new one. First a sample of them is made again and compared bit by bit:
with the stored numbers if they were made on a machine like this one, else with what the earlier commit makes
here. Any difference refuses, names the cell, and leaves the store as it is. `--most-seconds` holds the sample
to records that are quickly made again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from bench.analysis.sampling import sample, seconds_again
from bench.errors import UserError, exit_with_message
from bench.files import write_atomically
from bench.work.jobs import Job
from bench.work.plan import all_jobs
from bench.work.promotion import renewed
from bench.work.provenance import git_commit, provenance
from bench.work.record import COLUMNS, OK, Facts, Record, read_record
from bench.work.rerun import Checkout, code_at_hand, code_of
from bench.work.stored import stored_texts
from bench.work.suite import Suite


@exit_with_message
def main(
    since: Annotated[str, typer.Option(help="the commit before the refactoring, as HEAD~1 or a hash")],
    verify: Annotated[int, typer.Option(min=1, help="how many of the affected records are made again")],
    tier: Annotated[list[str] | None, typer.Option(help="a tier; without, every tier with a store")] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the sample")] = 0,
    most_seconds: Annotated[
        float | None,
        typer.Option(min=1.0, help="sample no record that took longer, with all it was made from"),
    ] = None,
) -> None:
    """Give stored records the fingerprints of this code, if a sample of them is made again bit by bit."""
    suite = Suite.from_environment()
    suite.source.refuse_store("the store is what is changed")
    tiers = tier or [name for name in suite.catalogue.tiers if suite.store.records(name)]
    for name in tiers:
        suite.catalogue.tier(name)
    with code_of(since) as then, code_at_hand() as now:
        affected = [job for name in tiers for job in carried(suite, name, then.fingerprints(name))]
        within = [job for job in affected if most_seconds is None or seconds_again(job) <= most_seconds]
        chosen = sample(within, verify, seed)
        for number, job in enumerate(chosen, start=1):
            reference = check(job, now, then)
            print(f"{number} of {len(chosen)}: {named(job)} is equal to {reference}", flush=True)
    # Asked for before the first store is written, which makes the working tree differ.
    note = {"since": since, "verified": len(chosen), "of": len(affected), "commit": git_commit()}
    for name in tiers:
        jobs = [job for job in affected if job.tier == name]
        if jobs:
            restamp(suite, name, jobs, note)
        print(f"{name}: {len(jobs)} of {len(suite.store.records(name))} records carried over")


def named(job: Job) -> str:
    """A job as a message calls it."""
    cell = f"{job.cell.task}/{job.cell.method or '-'}/{job.cell.slug}"
    return f"{job.stage} of {cell} seed {job.seed} ({job.tier})"


def carried(suite: Suite, tier: str, then: dict[Any, str]) -> list[Job]:
    """The jobs whose record was current by the earlier commit, and is not by this code with equal options."""
    return [
        job
        for job in all_jobs(suite, tier)
        if job.stored
        and job.stored.fingerprint == then.get(job.key)
        and job.stored.fingerprint != job.fingerprint
        and job.stored.parts["options"] == job.parts["options"]
    ]


def check(job: Job, now: Checkout, then: Checkout) -> str:
    """Make a job again and compare it; what it was compared with. UserError if a number or array differs."""
    ours = now.make(job)
    assert job.stored is not None
    here = Record(status=OK, **provenance())
    stored = job.stored.arithmetic == here.arithmetic and job.stored.versions == here.versions
    theirs = None if stored else then.make(job)
    if not job.row.in_cells:
        # Its files: the record has their checksums, and the store keeps no numbers of it.
        before = job.stored if theirs is None else _record(theirs, job)
        compare_facts(job, _said(_record(ours, job)), _said(before))
    else:
        rows = _stored_rows(job) if theirs is None else _read(theirs / job.table.name)
        compare_rows(job, _read(ours / job.table.name), rows)
    arrays = _stored_arrays(job) if theirs is None else theirs / job.arrays.name
    compare_arrays(job, ours / job.arrays.name, arrays)
    return "the store" if stored else "what the earlier commit makes here"


def _stored_arrays(job: Job) -> Path:
    """Where the store has a job's arrays, checked if there are any."""
    store = job.suite.store
    return store.arrays(job) if store.place_of_arrays(job).exists() else store.place_of_arrays(job)


def _record(folder: Path, job: Job) -> Record:
    return read_record(folder / job.record.name, job.key)


def _said(record: Record) -> Facts:
    """The facts of a dataset and, by their names, the checksums of its files."""
    return record.facts | {name: written.sha256 for name, written in record.files.items()}


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, float_precision="round_trip")


def _stored_rows(job: Job) -> pd.DataFrame:
    assert job.stored is not None
    return job.suite.store.cells(job.tier).get(job.stored.fingerprint, pd.DataFrame(columns=list(COLUMNS)))


def compare_facts(job: Job, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """UserError, naming the fact, unless a dataset's facts and the checksums of its files are equal."""
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise UserError(_refusal(job, name, ours.get(name), theirs.get(name)))


def _refusal(job: Job, what: str, now: Any, then: Any) -> str:
    return (
        f"{named(job)}: {what} is {now!r} now and was {then!r}. The code computes otherwise, so nothing was "
        "carried over: promote what it makes with `bench store`, or find what changed."
    )


def compare_rows(job: Job, made: pd.DataFrame, rows: pd.DataFrame) -> None:
    """UserError, naming the number, unless all that do not measure time or memory are equal."""
    exact = {name for name, metric in job.suite.catalogue.metrics.items() if metric.deterministic}
    sides = []
    for side in (made, rows):
        side = side[list(COLUMNS)]
        kept = side[side["metric"].isin(exact)] if job.row.costs else side
        sides.append(
            {tuple(key): value for *key, value in kept.dropna(subset="value").itertuples(index=False)}
        )
    ours, theirs = sides
    different = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
    if different or not ours:
        key = min(different, default=("no number", 0, 0))
        what = f"{key[0]} (step {key[1]}, index {key[2]})"
        raise UserError(_refusal(job, what, ours.get(key), theirs.get(key)))


def compare_arrays(job: Job, ours: Path, theirs: Path) -> None:
    """UserError, naming the array, unless both files hold the same, or neither is there."""
    if not ours.exists() and not theirs.exists():
        return
    with np.load(ours) as made, np.load(theirs) as before:
        names = sorted({*made.files, *before.files})
        for name in names:
            if name not in made or name not in before or made[name].tobytes() != before[name].tobytes():
                raise UserError(f"{named(job)}: array {name} differs, so nothing was carried over.")


def restamp(suite: Suite, tier: str, jobs: list[Job], note: dict[str, Any]) -> None:
    """Write the store of a tier with the new fingerprints of these jobs and the commands of this code."""
    records = dict(suite.store.records(tier))
    renamed: dict[str, str] = {}
    for job in jobs:
        record = records[job.key]
        renamed[record.fingerprint] = job.fingerprint
        records[job.key] = record.with_values(
            fingerprint=job.fingerprint, command=job.command, parts=job.parts, restamped=note
        )
    path = suite.store.folder / tier / "cells.csv"
    cells = pd.read_csv(path, dtype=str, keep_default_na=False)
    cells["fingerprint"] = cells["fingerprint"].replace(renamed)
    with renewed(path.parent) as new:
        for name, text in stored_texts(records).items():
            write_atomically(new / name, text)
        write_atomically(new / path.name, cells.to_csv(index=False, lineterminator="\n"))
