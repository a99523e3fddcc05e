"""Draw a figure from its cells' records: `python -m bench figure --tier quick --artifact NAME`.

Without `--artifact` every figure is drawn, in one process: quicker where nothing has to be waited for.
"""

from __future__ import annotations

from typing import Annotated

import pandas as pd
import typer

from bench.analysis.agreement import RESULT
from bench.analysis.figures import draw, figure_data, save
from bench.analysis.readings import read_entry
from bench.analysis.rendering import asked_for, heading, write_sidecar
from bench.analysis.reported import load_reported
from bench.analysis.verdicts import points_of, printed_for, verdict_of
from bench.errors import exit_with_message
from bench.files import write_atomically
from bench.work.renderings import Rendering
from bench.work.suite import Suite


@exit_with_message
def main(
    tier: Annotated[str, typer.Option(help="quick, cpu or paper")],
    artifact: Annotated[str, typer.Option(help="a figure, as in <paper>_fig02; without, every figure")] = "",
) -> None:
    """Write PNG, PDF and the data behind them as CSV."""
    suite = Suite.from_environment()
    reported = load_reported(suite.catalogue, suite.catalogue.reported)
    for rendering in asked_for(suite, tier, artifact, "figure"):
        render(rendering, reported)


def render(rendering: Rendering, reported: pd.DataFrame) -> None:
    """Write the files of one figure."""
    tier, name, folder = rendering.tier, rendering.name, rendering.folder
    readings = [read_entry(entry, tier) for entry in rendering.entries]
    data = figure_data(readings, tier, reported)
    text = data.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_atomically(folder / f"{name}.csv", text)
    save(draw(rendering.artifact, readings, heading(rendering, readings)), folder, name)
    printed = (one for one in readings if points_of(one, tier, reported) or printed_for(one.entry, reported))
    write_sidecar(rendering, readings, ((RESULT, verdict_of(one, tier, reported).word) for one in printed))
