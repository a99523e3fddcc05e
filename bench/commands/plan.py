"""What would be run, and its cost: `python -m bench plan --tier quick`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.analysis.costs import planned_hours
from bench.catalogue.tiers import Tier
from bench.errors import exit_with_message
from bench.work.jobs import Job
from bench.work.plan import all_jobs, must_jobs
from bench.work.suite import Suite


def to_run(jobs: list[Job]) -> list[Job]:
    """Those of the jobs whose result is neither here nor, where the tier takes from it, in the store."""
    return [job for job in jobs if job.state not in ("current", "stored")]


def by_artifact(suite: Suite, tier: str) -> dict[str, list[Job]]:
    """The jobs each artifact needs in a tier; a job that several need is in each."""
    return {name: all_jobs(suite, tier, (name,)) for name in suite.catalogue.artifacts}


def parts_of(suite: Suite, tier: str) -> dict[str, list[Job]]:
    """The jobs of a tier, each once: of its must list and of the rest, if it has one, and in all."""
    jobs, must = all_jobs(suite, tier), must_jobs(suite, tier)
    if not must:
        return {"total": jobs}
    return {"must list": must, "the rest": [job for job in jobs if job not in set(must)], "total": jobs}


def counted(jobs: list[Job]) -> tuple[str, str, str, str]:
    """How many jobs there are, are current and have to be run, and the hours of the last."""
    waiting = to_run(jobs)
    return str(len(jobs)), str(len(jobs) - len(waiting)), str(len(waiting)), f"{planned_hours(waiting):.2f}"


def cost_unit(tier: Tier) -> str:
    """What the hours of a tier are of: the paper tier repeats those of the papers' own GPUs."""
    return "device-hours" if tier.budget == "paper" else "core-hours"


@exit_with_message
def main(tier: Annotated[str, typer.Option(help="quick, cpu or paper")]) -> None:
    """Print, for each artifact, its cells, what is current, what would be run, and the hours."""
    suite = Suite.from_environment()
    catalogue = suite.catalogue
    budget = catalogue.tier(tier)
    unit = cost_unit(budget)
    table = Table(
        title=f"Plan of the {tier} tier{catalogue.reading_said}: {budget.title}",
        caption=f"A job that several artifacts need is counted in each of them, and once in the total. "
        f"{unit.capitalize()} are estimates of the tier file.",
    )
    for column in ("artifact", "printed as", "jobs", "current", "to run", unit):
        table.add_column(column, justify="left" if column in ("artifact", "printed as") else "right")
    for name, jobs in by_artifact(suite, tier).items():
        table.add_row(name, catalogue.artifacts[name].printed, *counted(jobs))
    table.add_section()
    for name, jobs in parts_of(suite, tier).items():
        table.add_row(name, "", *counted(jobs))
    Console(width=100).print(table)
