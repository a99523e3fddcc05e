"""Draw one figure from its cells' records: `python -m bench.figure --tier quick --artifact dmh_fig02`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.analysis.collect import read_entry
from bench.analysis.figures import draw, figure_data, save
from bench.analysis.rendering import heading, open_rendering, write_sidecar
from bench.analysis.reported import load_reported
from bench.analysis.verdicts import verdict_of
from bench.spec.errors import exit_with_message
from bench.spec.renderings import REPORTED


@exit_with_message
def main(
    tier: Annotated[str, typer.Option(help="quick, cpu or paper")],
    artifact: Annotated[str, typer.Option(help="a figure, as in dmh_fig02")],
) -> None:
    """Write PNG, PDF and the data behind them as CSV."""
    rendering = open_rendering(tier, artifact, "figure")
    readings = [read_entry(entry, tier) for entry in rendering.entries]
    rendering.folder.mkdir(parents=True, exist_ok=True)
    reported = load_reported(REPORTED)
    data = figure_data(readings, [verdict_of(reading, tier, reported) for reading in readings])
    data.to_csv(rendering.folder / f"{artifact}.csv", index=False, float_format="%.6g", lineterminator="\n")
    save(draw(rendering.artifact, readings, heading(rendering, readings)), rendering.folder, artifact)
    write_sidecar(rendering, readings)


if __name__ == "__main__":
    typer.run(main)
