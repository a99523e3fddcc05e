"""Which of many records are made again to vouch for the rest."""

from __future__ import annotations

from bench.seeds import stream
from bench.work.jobs import Job


def sample(jobs: list[Job], count: int, seed: int) -> list[Job]:
    """So many of the jobs, from as many methods and stages as there can be; all if there are not more.

    The pairs of method and stage take turns in a drawn order. Within one, a job is likelier the less it cost.
    """
    generator = stream("restamp", seed)
    strata: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        strata.setdefault((job.cell.method, job.stage), []).append(job)
    waiting = [strata[key] for key in sorted(strata)]
    chosen: list[Job] = []
    while waiting and len(chosen) < count:
        for number in generator.permutation(len(waiting))[: count - len(chosen)]:
            left = waiting[number]
            weights = [1 / max(_cost(job), 0.1) for job in left]
            chosen.append(left.pop(generator.choice(len(left), p=[w / sum(weights) for w in weights])))
        waiting = [left for left in waiting if left]
    return chosen


def _cost(job: Job) -> float:
    known = job.stored.cpu_seconds if job.stored else None
    return job.core_seconds if known is None else known
