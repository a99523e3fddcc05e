"""Every option of a cell and what set it: `python -m bench options hopper-medium dema --tier quick`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.catalogue.stages import STAGES
from bench.errors import exit_with_message, unknown
from bench.work.cells import parse_slug
from bench.work.jobs import Job
from bench.work.origins import origins
from bench.work.suite import Suite


def lines(suite: Suite, job: Job) -> list[str]:
    """One line an option, by name: the option, its value, the file that set it and what in it did."""
    found = origins(suite.catalogue, job.resolved)
    rows = [(name, _text(one.value), one.file, one.layer) for name, one in found.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        "  ".join([*(text.ljust(width) for text, width in zip(row[:3], widths, strict=True)), row[3]])
        for row in rows
    ]


def _text(value: object) -> str:
    """A value as YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@exit_with_message
def main(
    task: Annotated[str, typer.Argument(help="such as hopper-medium")],
    method: Annotated[str, typer.Argument(help="such as dema")],
    tier: Annotated[str, typer.Option(help="quick, cpu or paper")],
    stage: Annotated[str, typer.Option(help="the budget of which stage")] = "train",
    settings: Annotated[str, typer.Option(help="as in a cell's name: key=value,key=value")] = "default",
) -> None:
    """Print each option with its value and the file, and budget, that set it last."""
    suite = Suite.from_environment()
    suite.catalogue.tier(tier)
    suite.catalogue.method(method)
    stages = [row.name for row in STAGES.values() if row.subject == "cell"]
    if stage not in stages:
        raise unknown("stage", stage, stages, "--stage")
    cell = parse_slug(suite.catalogue, task, method, settings)
    print("\n".join(lines(suite, Job(suite, stage, tier, cell, 0))))
