"""What a run cost, beside what its plan estimated: `python -m bench bill --tier quick`."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.analysis.costs import Cost, Line, cost_of, line_of
from bench.commands.plan import by_artifact, cost_unit
from bench.errors import UserError, exit_with_message
from bench.work.jobs import Job
from bench.work.plan import all_jobs
from bench.work.suite import Suite

MEBIBYTE = 2**20


class By(StrEnum):
    """What the rows of a bill are."""

    ARTIFACT = "artifact"
    STAGE = "stage"
    BUDGET = "budget"


def groups_of(suite: Suite, tier: str, by: By) -> dict[str, list[Job]]:
    """The jobs of each row, in the tier's order."""
    if by is By.ARTIFACT:
        return by_artifact(suite, tier)
    groups: dict[str, list[Job]] = {}
    for job in all_jobs(suite, tier):
        groups.setdefault(job.stage if by is By.STAGE else job.resolved.budget.label, []).append(job)
    return groups


def bill(suite: Suite, tier: str, by: By) -> tuple[dict[str, Line], dict[Job, Cost | None]]:
    """(name of a row -> row, `total` last; job -> cost) of a tier; UserError where nothing has run."""
    costs = {job: cost_of(job) for job in all_jobs(suite, tier)}
    if not any(costs.values()):
        raise UserError(
            f"results/{tier}: no job of the {tier} tier has a record yet, so there is nothing to bill. "
            f"Run: snakemake all --config tier={tier}"
        )
    lines = {name: line_of(jobs, costs) for name, jobs in groups_of(suite, tier, by).items()}
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
    suite = Suite.from_environment()
    unit = cost_unit(suite.catalogue.tier(tier))
    lines, costs = bill(suite, tier, by)
    table = Table(
        title=f"Bill of the {tier} tier{suite.catalogue.reading_said}, by {by}",
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
