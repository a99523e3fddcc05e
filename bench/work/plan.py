"""Which jobs an entry is read from, and which a tier consists of."""

from __future__ import annotations

from collections.abc import Iterable

from bench.work.cells import resolve
from bench.work.entries import Entry, entries
from bench.work.extra_seeds import extra_jobs
from bench.work.jobs import Job, make_job
from bench.work.suite import Suite


def jobs_of(entry: Entry, tier: str) -> list[Job]:
    """The jobs a number is read from, one a seed and part."""
    suite, found = entry.suite, []
    for part in entry.recorded:
        resolved = resolve(suite.catalogue, tier, part.cell, part.stage)
        assert resolved is not None
        limit = suite.catalogue.artifacts[part.artifact].seeds
        seeds = range(min(resolved.seeds, limit))
        found += [make_job(suite, part.stage, tier, part.cell, seed) for seed in seeds]
    return found


def all_jobs(suite: Suite, tier: str, artifacts: tuple[str, ...] | None = None) -> list[Job]:
    """Every job the artifacts need in this tier, upstream first, each once.

    By default all artifacts, and behind them the seeds that `bench settle` asked for beyond the budgets'.
    """
    own = shown_jobs(suite, tier, suite.catalogue.artifacts if artifacts is None else artifacts)
    return own if artifacts is not None else with_upstream([*own, *extra_jobs(suite, tier)])


def shown_jobs(suite: Suite, tier: str, artifacts: Iterable[str]) -> list[Job]:
    """Every job that the artifacts need by the tier's budgets, upstream first, each once."""
    shown = (entry for name in artifacts for entry in entries(suite, name, tier))
    return with_upstream(job for entry in shown for job in jobs_of(entry, tier))


def with_upstream(jobs: Iterable[Job]) -> list[Job]:
    """The jobs and all that they read, upstream first, each once."""
    ordered: dict[Job, None] = {}

    def add(job: Job) -> None:
        for before in job.upstream:
            add(before)
        ordered.setdefault(job)

    for job in jobs:
        add(job)
    return list(ordered)


def must_jobs(suite: Suite, tier: str) -> list[Job]:
    """Those jobs of a tier that its must list needs, upstream first: of a `must` budget, or read by one.

    Empty for a tier without such a list.
    """
    wanted: set[Job] = set()
    jobs = shown_jobs(suite, tier, suite.catalogue.artifacts)
    for job in reversed(jobs):
        if job in wanted or (job.row.in_cells and job.resolved.budget.must):
            wanted |= {job, *job.upstream}
    return [job for job in jobs if job in wanted]
