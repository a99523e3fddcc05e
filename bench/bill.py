"""What a run cost, beside what its plan estimated: `python -m bench.bill --tier quick`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.analysis.collect import record_of
from bench.plan import by_artifact, cost_unit, hours
from bench.spec.errors import UserError, exit_with_message
from bench.spec.jobs import Job, all_jobs
from bench.spec.load import load_catalogue
from bench.spec.models import StageName

# What a stage keeps beside `<stage>.*`, in its job's folder.
KEPT_FOLDER: dict[StageName, str] = {"dataset": "data", "train": "checkpoints"}
MEBIBYTE = 2**20


class By(StrEnum):
    """What the rows of a bill are."""

    ARTIFACT = "artifact"
    STAGE = "stage"
    BUDGET = "budget"


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
    record = record_of(job)
    if "cpu_seconds" not in record:
        return None
    device = record["facts"].get("device", "cpu")
    return Cost(
        processor=record["cpu_seconds"],
        wall=record["seconds"],
        on_gpu=device != "cpu",
        memory_mib=record["peak_memory_mib"],
        disk=disk_of(job),
        start=record.get("start_cpu_seconds"),
    )


def disk_of(job: Job) -> int:
    """Bytes of the files a job keeps: record, table, arrays, log, and its checkpoints or data."""
    files = list(job.folder.glob(f"{job.stage}.*"))
    if job.stage in KEPT_FOLDER:
        files += (job.folder / KEPT_FOLDER[job.stage]).rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def line_of(jobs: Iterable[Job], costs: dict[Job, Cost | None]) -> Line:
    """The row of a group of jobs."""
    jobs = list(jobs)
    billed = [(job, cost) for job in jobs if (cost := costs[job]) is not None]
    estimated = hours([job for job, _ in billed])
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


def groups_of(tier: str, by: By) -> dict[str, list[Job]]:
    """The jobs of each row, in the tier's order."""
    if by is By.ARTIFACT:
        return by_artifact(tier)
    groups: dict[str, list[Job]] = {}
    for job in all_jobs(tier):
        groups.setdefault(job.stage if by is By.STAGE else job.resolved.budget.label, []).append(job)
    return groups


def bill(tier: str, by: By) -> tuple[dict[str, Line], dict[Job, Cost | None]]:
    """(name of a row -> row, `total` last; job -> cost) of a tier; UserError where nothing has run."""
    costs = {job: cost_of(job) for job in all_jobs(tier)}
    if not any(costs.values()):
        raise UserError(
            f"results/{tier}: no job of the {tier} tier has a record yet, so there is nothing to bill. "
            f"Run: snakemake all --config tier={tier}"
        )
    lines = {name: line_of(jobs, costs) for name, jobs in groups_of(tier, by).items()}
    return lines | {"total": line_of(costs, costs)}, costs


def start_said(costs: Iterable[Cost]) -> str:
    """What starting the processes cost on top, as far as the records say."""
    started = [cost.start for cost in costs if cost.start is not None]
    if not started:
        return "No record says what its process took to start."
    return (
        f"Starting Python and importing what the work needs took {sum(started) / 3600:.3f} core-hours more, "
        f"by {len(started)} records."
    )


@exit_with_message
def main(
    tier: Annotated[str, typer.Option(help="quick, cpu or paper")],
    by: Annotated[By, typer.Option(help="what the rows are")] = By.ARTIFACT,
) -> None:
    """Print, for each artifact, stage or budget, what the jobs with a record cost and what was estimated."""
    unit = cost_unit(load_catalogue().tier(tier))
    lines, costs = bill(tier, by)
    table = Table(
        title=f"Bill of the {tier} tier, by {by}",
        caption="A job that several artifacts need is counted in each of them, and once in the total. "
        f"Estimated: {unit} of the tier file for the jobs with a record; ratio: what they took, over it. "
        "A training that was taken up again is billed from its last start. "
        + start_said(cost for cost in costs.values() if cost),
    )
    table.add_column(by)
    for column in ("jobs", "with record", "estimated", "core-hours", "GPU-hours", "ratio", "wall-hours",
                   "peak MiB", "disk MiB"):  # fmt: skip
        table.add_column(column, justify="right")
    for name, line in lines.items():
        if name == "total":
            table.add_section()
        table.add_row(
            name, f"{line.jobs}", f"{line.billed}", f"{line.estimated:.3f}", f"{line.core:.3f}",
            f"{line.gpu:.3f}", "-" if line.ratio is None else f"{line.ratio:.2f}", f"{line.wall:.3f}",
            f"{line.memory_mib:,.0f}", f"{line.disk / MEBIBYTE:,.1f}",
        )  # fmt: skip
    Console(width=130).print(table)


if __name__ == "__main__":
    typer.run(main)
