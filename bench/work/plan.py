"""Which jobs an entry is read from, and which a tier consists of."""

from __future__ import annotations

from bench.work.cells import resolve
from bench.work.entries import Entry, entries
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
    """Every job the artifacts (default: all) need in this tier, upstream first, each once."""
    ordered: dict[Job, None] = {}

    def add(job: Job) -> None:
        for before in job.upstream:
            add(before)
        ordered.setdefault(job)

    for name in suite.catalogue.artifacts if artifacts is None else artifacts:
        for entry in entries(suite, name, tier):
            for job in jobs_of(entry, tier):
                add(job)
    return list(ordered)


def must_jobs(suite: Suite, tier: str) -> list[Job]:
    """Those jobs of a tier that its must list needs, upstream first: of a `must` budget, or read by one.

    Empty for a tier without such a list.
    """
    wanted: set[Job] = set()
    jobs = all_jobs(suite, tier)
    for job in reversed(jobs):
        if job in wanted or (job.row.in_cells and job.resolved.budget.must):
            wanted |= {job, *job.upstream}
    return [job for job in jobs if job in wanted]
