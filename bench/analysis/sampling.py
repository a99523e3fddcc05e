"""Which of many records are made again to vouch for the rest."""

from __future__ import annotations

from bench.seeds import stream
from bench.work.jobs import Job


def sample(jobs: list[Job], count: int, seed: int) -> list[Job]:
    """So many of the jobs, from as many methods and stages as there can be; all if there are not more.

    The pairs of method and stage take turns, and within one a job is drawn. Both are likelier drawn the less
    it costs to make the job again with what it reads, so that a check takes minutes and not hours.
    """
    generator = stream("restamp", seed)
    strata: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        strata.setdefault((job.cell.method, job.stage), []).append(job)
    waiting = [strata[key] for key in sorted(strata)]
    chosen: list[Job] = []
    while waiting and len(chosen) < count:
        cheapest = [max(map(_speed, left)) for left in waiting]
        turns = min(len(waiting), count - len(chosen))
        for number in generator.choice(len(waiting), turns, replace=False, p=_shares(cheapest)):
            left = waiting[number]
            chosen.append(left.pop(generator.choice(len(left), p=_shares(list(map(_speed, left))))))
        waiting = [left for left in waiting if left]
    return chosen


def _shares(weights: list[float]) -> list[float]:
    return [weight / sum(weights) for weight in weights]


def seconds_again(job: Job) -> float:
    """Processor seconds that it takes to make a job again with what it reads, by their stored records."""
    return sum(_seconds(one) for one in (job, *_before(job)))


def _speed(job: Job) -> float:
    return 1 / max(seconds_again(job), 1.0)


def _before(job: Job) -> set[Job]:
    return {one for upstream in job.upstream for one in (upstream, *_before(upstream))}


def _seconds(job: Job) -> float:
    stored = job.stored
    return stored.cpu_seconds or 0.0 if stored else job.core_seconds
