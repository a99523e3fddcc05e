"""Say in a few lines what a run made and where it lies: `python -m bench summary --tier quick`."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.analysis.agreement import agreement, in_words
from bench.errors import exit_with_message
from bench.work.renderings import Rendering
from bench.work.reporting import report_folder
from bench.work.suite import Suite

# What a sidecar counts -> the head of its column.
COUNTS = {"results": "results", "results_wanted": "of", "settings": "settings"}


@exit_with_message
def main(tier: Annotated[str, typer.Option(help="quick, cpu or paper")]) -> None:
    """Print each artifact with how many of its results are there, and apart from them its settings."""
    suite = Suite.from_environment()
    catalogue = suite.catalogue
    catalogue.tier(tier)
    table = Table(title=f"What the {tier} tier holds")
    for column in ("artifact", "what it shows", *COUNTS.values(), "file"):
        table.add_column(column, justify="right" if column in COUNTS.values() else "left")
    found: Counter[str] = Counter()
    for name, artifact in catalogue.artifacts.items():
        rendering = Rendering(suite, tier, name)
        record = rendering.sidecar
        found.update({key: record.get(key, 0) for key in agreement(())})
        counts = [str(record.get(key, "-")) for key in COUNTS]
        table.add_row(name, artifact.title, *counts, str(rendering.outputs[1]))
    console = Console()
    console.print(table)
    console.print(f"Of what the papers print, {in_words(found)}.")
    console.print(
        f"To read: {report_folder(tier) / 'index.html'}. Every number: results/{tier}/cells.csv. "
        f"One artifact again: snakemake {next(iter(catalogue.artifacts))}"
    )
