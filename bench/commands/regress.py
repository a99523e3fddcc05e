"""Compare a run with the committed store: `python -m bench regress --tier quick`.

Counts of every probe are made anew in this process, a few cells (`workflow/regress.yaml`) by the rules that
`snakemake regress` runs first. With `--all-cells` a finished run is compared whole, and nothing is computed.
Without it a few small trainings are made under portable numerics as well, and compared to the last bit
(`bench.commands.portable`). Writes `results/<tier>/regress.md`; ends with 1 where there is an alarm. What is
one: docs/regression.md.
"""

from __future__ import annotations

from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.analysis.readings import job_rows
from bench.analysis.regression import MEANS, Comparison, Held, Key, Side, compare
from bench.analysis.regression_page import Notes, page_of, summary_of
from bench.catalogue.stages import STAGES
from bench.commands.portable import compared_apart
from bench.errors import exit_with_message
from bench.files import write_atomically
from bench.work.fingerprint import changes, package_changes
from bench.work.jobs import RESULTS, Job
from bench.work.plan import all_jobs
from bench.work.record import COLUMNS, OK, Record, Status
from bench.work.regression import counted_jobs, regressed_jobs
from bench.work.suite import Suite

# On a console; the page has all.
MOST_ROWS = 30


def key_of(job: Job) -> Key:
    """A job by its names."""
    return Key(job.stage, job.cell.task, job.cell.method, job.cell.slug, job.seed)


def lineage(job: Job) -> list[Job]:
    """A job and everything it was made from."""
    return [job, *(before for upstream in job.upstream for before in lineage(upstream))]


def read_store(suite: Suite, tier: str) -> Side:
    """What the committed store holds of each job; UserError where there is none, or it cannot be read."""
    suite.store.files(tier)
    cells, none = suite.store.cells(tier), pd.DataFrame(columns=list(COLUMNS))
    return {
        Key(*key): Held(record, cells.get(record.fingerprint, none)[list(COLUMNS)])
        for key, record in suite.store.records(tier).items()
        if record.status.is_ok
    }


def read_run(jobs: list[Job]) -> Side:
    """What the run holds of these jobs."""
    held = {}
    for job in jobs:
        rows = job_rows(job)[list(COLUMNS)]
        # A job without a number has one row without a metric.
        held[key_of(job)] = Held(job.result, rows[rows["metric"] != ""])
    return held


def count(suite: Suite, tier: str) -> Side:
    """Parameters and MACs of every probe of the tier, counted now."""
    # Here, so that comparing a finished run imports no torch.
    from bench.stages.probe import counts

    held = {}
    for job in counted_jobs(suite, tier):
        rows, status = [], OK
        try:
            rows = counts(job)
        except Exception as error:
            # As in a record: what is broken is named beside what is not.
            status = Status("failed", f"{type(error).__name__}: {error}")
        held[key_of(job)] = Held(Record(status=status), pd.DataFrame(rows, columns=list(COLUMNS)))
    return held


def made_otherwise(job: Job, run: Side, store: Side) -> list[str]:
    """In what run and store made a job, or what it was made from, by different means, as far as both say."""
    found: dict[str, None] = {}
    for key in map(key_of, lineage(job)):
        if key in run and key in store:
            ours, stored = run[key], store[key]
            for name, before, after in zip(MEANS, stored.made, ours.made, strict=True):
                # A count made in this process says nothing of where: it is equal everywhere.
                found |= (
                    {f"{name}: {before} -> {after}": None} if before and after and before != after else {}
                )
            versions = package_changes(stored.record.parts, ours.record.parts)
            found |= dict.fromkeys(versions)
    return list(found)


def causes(job: Job, store: Side) -> tuple[str, ...]:
    """What changed in a job, or in what it was made from, since it was stored; empty where nothing did."""
    found: dict[str, None] = {}
    for before in lineage(job):
        stored = store.get(key_of(before))
        if stored and stored.record.fingerprint != before.fingerprint:
            found |= dict.fromkeys(changes(stored.record.parts, before.parts))
    return tuple(found)


def regress(suite: Suite, tier: str, every_cell: bool) -> tuple[Comparison, Notes]:
    """Compare the tier's run with its store; SpecError or UserError for what the user has to mend."""
    jobs = {key_of(job): job for job in all_jobs(suite, tier) if job.row.in_cells}
    store = read_store(suite, tier)
    taken: set[Key] = set()
    if every_cell:
        # What the tier takes from the store was not run: compared, it would only equal itself.
        taken = {key for key, job in jobs.items() if suite.source.taken(job)}
        run = read_run([job for key, job in jobs.items() if key not in taken])
        # Datasets have no numbers of their own here.
        scope = {*jobs, *(key for key in store if STAGES[key.stage].in_cells)} - taken
    else:
        named = regressed_jobs(suite, tier)
        jobs |= {key_of(job): job for job in named}
        run = read_run(named) | count(suite, tier)
        counted = {key for key in (*run, *store) if STAGES[key.stage].costs}
        scope = {*map(key_of, named), *counted}
    means = {key: made_otherwise(jobs[key], run, store) for key in run}
    compared = compare(suite.catalogue, run, store, scope, lambda key: not means[key])
    compared.taken = len(taken)
    stale = {key: changed for key, job in jobs.items() if key in store and (changed := causes(job, store))}
    old = [
        jobs[key] for key in run
        if (fingerprint := run[key].record.fingerprint) and fingerprint != jobs[key].fingerprint
    ]  # fmt: skip
    return compared, Notes(tier, jobs, stale, means, old, "all" if every_cell else "regress")


def show(compared: Comparison, notes: Notes) -> None:
    """Print the alarms, their likely causes, and where the whole is to be read."""
    console = Console(width=140)
    if compared.findings:
        table = Table(title=f"regress: {len(compared.findings)} alarms in the {notes.tier} tier")
        for column in ("cell", "number", "stored", "ours", "what is wrong"):
            table.add_column(column, overflow="fold")
        for finding in compared.findings[:MOST_ROWS]:
            cells = (finding.name, finding.number, finding.stored, finding.ours, finding.why)
            table.add_row(*map(escape, cells))
        console.print(table)
        if len(compared.findings) > MOST_ROWS:
            console.print(f"and {len(compared.findings) - MOST_ROWS} more on the page")
    for line in summary_of(compared, notes):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@exit_with_message
def main(
    tier: Annotated[str, typer.Option(help="quick, cpu or paper")],
    all_cells: Annotated[
        bool, typer.Option(help="a finished run's every cell, with nothing computed")
    ] = False,
) -> None:
    """Print every alarm and write the page; exit with 1 where there is one."""
    suite = Suite.from_environment()
    suite.catalogue.tier(tier)
    suite.source.refuse_store("the store cannot be compared with itself")
    compared, notes = regress(suite, tier, all_cells)
    path, page = RESULTS / tier / "regress.md", page_of(compared, notes)
    write_atomically(path, page)
    show(compared, notes)
    # A finished run is compared as it lies: nothing is computed.
    said, alarm = ([], False) if all_cells else compared_apart()
    if said:
        write_atomically(path, page + "".join(f"\n- {line}" for line in said) + "\n")
        print("\n".join(said))
    if compared.findings or alarm:
        raise SystemExit(1)
