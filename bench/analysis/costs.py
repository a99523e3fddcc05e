"""What jobs cost by their records, beside what the tier estimates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.work.jobs import Job


def planned_hours(jobs: list[Job]) -> float:
    """Estimated hours of some jobs, of one core (or, in the paper tier, of one device)."""
    return sum(job.core_seconds for job in jobs) / 3600


@dataclass(frozen=True)
class Cost:
    """What one job cost. Seconds are of its work alone; `start` is what its process took to get there."""

    processor: float
    wall: float
    on_gpu: bool
    memory_mib: float
    disk: int
    start: float | None

    @property
    def compared(self) -> float:
        """What the plan estimates: processor seconds, or how long the job held a GPU."""
        return self.wall if self.on_gpu else self.processor


@dataclass(frozen=True)
class Line:
    """One row of a bill: sums over the jobs that have a record, and the plan's estimate of the same jobs.

    Times are hours, `memory_mib` is the peak of the largest job, `disk` bytes. Where nothing is billed there
    is no ratio.
    """

    jobs: int
    billed: int
    estimated: float
    core: float
    gpu: float
    wall: float
    ratio: float | None
    memory_mib: float
    disk: int


def cost_of(job: Job) -> Cost | None:
    """What a job cost by its record; None without a record of it, whatever came of the work."""
    record = job.result
    if record.cpu_seconds is None:
        return None
    return Cost(
        processor=record.cpu_seconds,
        wall=record.seconds,
        on_gpu=record.device not in ("", "cpu"),
        memory_mib=record.peak_memory_mib,
        disk=disk_of(job),
        start=record.start_cpu_seconds,
    )


def disk_of(job: Job) -> int:
    """Bytes of the files a job keeps: record, table, arrays, log, and its checkpoints or data."""
    files = list(job.folder.glob(f"{job.stage}.*"))
    if job.row.keeps:
        files += (job.folder / job.row.keeps).rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def line_of(jobs: Iterable[Job], costs: dict[Job, Cost | None]) -> Line:
    """The row of a group of jobs."""
    jobs = list(jobs)
    billed = [(job, cost) for job in jobs if (cost := costs[job]) is not None]
    estimated = planned_hours([job for job, _ in billed])
    compared = sum(cost.compared for _, cost in billed) / 3600
    return Line(
        jobs=len(jobs),
        billed=len(billed),
        estimated=estimated,
        core=sum(cost.processor for _, cost in billed) / 3600,
        gpu=sum(cost.wall for _, cost in billed if cost.on_gpu) / 3600,
        wall=sum(cost.wall for _, cost in billed) / 3600,
        ratio=compared / estimated if estimated else None,
        memory_mib=max((cost.memory_mib for _, cost in billed), default=0.0),
        disk=sum(cost.disk for _, cost in billed),
    )
