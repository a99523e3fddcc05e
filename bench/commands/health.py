"""Say whether a run is whole, and the code of no cell broke: `python -m bench health --tier quick`.

Every record has to be of the code, options and data at hand, and every file as it was written. What was timed
on a busy machine is named too. It is no failure: the number stands, with that mark.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from bench.errors import UserError, exit_with_message
from bench.files import write_atomically
from bench.work.busy import BUSY, MARK, wall_over_processor
from bench.work.gathered import files_of, seal
from bench.work.jobs import Job
from bench.work.plan import all_jobs
from bench.work.suite import Suite


@exit_with_message
def main(tier: Annotated[str, typer.Option(help="quick, cpu or paper")]) -> None:
    """Count the statuses of a tier's records; raise UserError naming cells that failed or are not whole."""
    suite = Suite.from_environment()
    suite.catalogue.tier(tier)
    if suite.source.makes:
        check_whole(suite, tier)
    ended = [(job, job.result.status) for job in all_jobs(suite, tier)]
    failed = [(job, status) for job, status in ended if status.has_failed]
    if failed:
        named = "; ".join(
            f"{job.stage} of {job.cell.key} seed {job.seed} ({status})" for job, status in failed[:5]
        )
        raise UserError(
            f"{len(failed)} of {len(ended)} jobs broke: {named}. Read {failed[0][0].folder}/"
            f"{failed[0][0].stage}.log, mend the cause, then run: "
            f"snakemake all --config tier={tier} retry=true"
        )
    counts = Counter[str](status.kind for _, status in ended)
    lines = [f"{name} {n}" for name, n in sorted(counts.items())] + busy_probes(suite, tier)
    files = files_of(tier, "health.txt")
    write_atomically(files[0], "".join(f"{line}\n" for line in lines))
    seal(files)


def check_whole(suite: Suite, tier: str) -> None:
    """Raise UserError where a job has not run or is out of date, or one of its files was changed since."""
    jobs = all_jobs(suite, tier)
    found = [(job, why) for job in jobs if (why := not_whole(job))]
    if found:
        job, why = found[0]
        raise UserError(
            f"{len(found)} of {len(jobs)} jobs are not whole, the first being {job.stage} of {job.cell.key} "
            f"seed {job.seed} ({why}). {job.remedy}"
        )


def not_whole(job: Job) -> str:
    """Why a job's files are not those that the code, options and data at hand left; empty if they are."""
    state = job.state
    if state == "stored":
        return ""
    if state in ("current", "damaged") and job.trouble:
        return job.trouble
    return "" if state == "current" else f"{job.record} is {state}"


def busy_probes(suite: Suite, tier: str) -> list[str]:
    """A line for each job whose times were taken on a busy machine; how busy it was moves no other number."""
    found = []
    for job in all_jobs(suite, tier):
        ratio = wall_over_processor(job.result) if job.row.costs else None
        if ratio is not None and ratio > BUSY:
            found.append(
                f"{MARK}: {job.stage} of {job.cell.key} seed {job.seed}, wall over processor {ratio:.2f}"
            )
    return found
