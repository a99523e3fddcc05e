"""Whether a tier's run is finished: what every command asks that makes something lasting of a run."""

from __future__ import annotations

from bench.errors import UserError
from bench.work.jobs import Job
from bench.work.plan import all_jobs
from bench.work.suite import Suite


def ended_well(job: Job) -> bool:
    """Whether nothing of a job has to be mended; what this machine lacks, or a loss that diverged, needs not.

    A job is skipped for what it builds on: well where that ended without a number, badly where that broke or
    is not there.
    """
    status = job.result.status
    if status.kind == "skipped":
        return any(before.result.status.is_result for before in job.upstream)
    return not status.has_failed


def finished_jobs(
    suite: Suite, tier: str, done: tuple[str, ...] = ("current",), instead: str = ""
) -> list[Job]:
    """The jobs of a tier whose run is finished, upstream first.

    Raises UserError where the state of one is none of `done`, so that it is missing or out of date, or where
    one is broken. `instead` is what else the user can do about the first.
    """
    jobs = all_jobs(suite, tier)
    waiting = [job for job in jobs if job.state not in done]
    if waiting:
        raise UserError(
            f"results/{tier}: {len(waiting)} of {len(jobs)} jobs are missing, damaged or out of date, the "
            f"first being {_named(waiting[0])}, so this run is not finished. "
            f"Run: snakemake all --config tier={tier}" + (f", or {instead}" if instead else "")
        )
    broken = [job for job in jobs if not ended_well(job)]
    if broken:
        first = broken[0]
        raise UserError(
            f"{first.record}: key status: {_named(first)} is {first.result.status}, and "
            f"{len(broken)} of {len(jobs)} jobs did not end well. Mend the cause, then run: "
            f"snakemake all --config tier={tier} retry=true"
        )
    return jobs


def _named(job: Job) -> str:
    return f"{job.stage} of {job.cell.key} seed {job.seed}"
