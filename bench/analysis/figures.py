"""Figures of an artifact, each drawn by its kind; the data behind one lies beside it as CSV.

Bands wider than the lines' own spread are cut at the panel's edge; their ends are in the CSV. Bands and bars
are 95 % t-intervals over seeds.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from bench.analysis.kinds import figure_layout
from bench.analysis.readings import Reading
from bench.analysis.style import LOOK
from bench.analysis.verdicts import Verdict
from bench.catalogue.artifacts import Artifact
from bench.catalogue.models import SELECTIONS


def draw(artifact: Artifact, readings: list[Reading], heading: str) -> Figure:
    """Draw an artifact from its readings; panels without any number say why."""
    matplotlib.use("Agg")
    sns.set_theme(context="paper", style="ticks", rc=LOOK)
    return figure_layout(artifact).draw(readings, heading, artifact.note)


def figure_data(readings: list[Reading], verdicts: list[Verdict]) -> pd.DataFrame:
    """The numbers behind a figure, one row a point, with what identifies and qualifies them."""
    frames = []
    for reading, verdict in zip(readings, verdicts, strict=True):
        cell = reading.entry.cell
        points = reading.curve if reading.summary is not None else pd.DataFrame([{"index": np.nan}])
        frames.append(
            points.assign(
                task=cell.task,
                method=cell.method,
                settings=cell.slug,
                reading=reading.entry.reading,
                metric=reading.entry.metric,
                label=reading.entry.label,
                status=reading.status,
                verdict=verdict.text,
                **reading.selections,
                fingerprints=" ".join(reading.fingerprints),
                changed="; ".join(reading.changed),
            )
        )
    columns = [
        "task",
        "method",
        "settings",
        "reading",
        "label",
        "metric",
        "index",
        "mean",
        "low",
        "high",
        "n",
        "status",
        "verdict",
        *SELECTIONS,
        "fingerprints",
        "changed",
    ]
    return pd.concat(frames, ignore_index=True).reindex(columns=columns)


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write PNG and PDF without dates in them, so that equal figures have equal bytes."""
    figure.savefig(folder / f"{name}.png", dpi=180, metadata={"Software": None})
    figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None, "ModDate": None})
    plt.close(figure)
