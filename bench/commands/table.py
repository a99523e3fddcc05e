"""Render a table from its cells' records: `python -m bench table --tier quick --artifact NAME`.

Without `--artifact` every table is rendered, in one process: quicker where nothing has to be waited for.
"""

from __future__ import annotations

from typing import Annotated

import pandas as pd
import typer

from bench.analysis.latex import to_latex
from bench.analysis.readings import read_entry
from bench.analysis.rendering import asked_for, heading, write_sidecar
from bench.analysis.reported import load_reported
from bench.analysis.tables import long_table, to_markdown
from bench.errors import exit_with_message
from bench.files import write_atomically
from bench.work.renderings import Rendering
from bench.work.suite import Suite


@exit_with_message
def main(
    tier: Annotated[str, typer.Option(help="quick, cpu or paper")],
    artifact: Annotated[str, typer.Option(help="a table, as in <paper>_table04; without, every table")] = "",
) -> None:
    """Write CSV (one row a number), Markdown and LaTeX, reported and ours side by side."""
    suite = Suite.from_environment()
    reported = load_reported(suite.catalogue, suite.catalogue.reported)
    for rendering in asked_for(suite, tier, artifact, "table"):
        render(rendering, reported)


def render(rendering: Rendering, reported: pd.DataFrame) -> None:
    """Write the files of one table."""
    readings = [read_entry(entry, rendering.tier) for entry in rendering.entries]
    table = long_table(rendering, readings, reported)
    base = rendering.folder / rendering.name
    write_atomically(base.with_suffix(".csv"), table.to_csv(index=False, lineterminator="\n"))
    title = heading(rendering, readings)
    write_atomically(base.with_suffix(".md"), to_markdown(rendering, table, title))
    write_atomically(base.with_suffix(".tex"), to_latex(rendering.suite.catalogue, table, title))
    printed = table[table["reported"] != ""]
    write_sidecar(rendering, readings, zip(printed["kind"], printed["verdict"], strict=True))
