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
from bench.analysis.tables import printed_columns
from bench.analysis.verdicts import points_of, printed_for, verdict_of
from bench.catalogue.artifacts import Artifact
from bench.catalogue.models import SELECTIONS
from bench.files import placed


def draw(artifact: Artifact, readings: list[Reading], heading: str) -> Figure:
    """Draw an artifact from its readings; panels without any number say why."""
    matplotlib.use("Agg")
    sns.set_theme(context="paper", style="ticks", rc=LOOK)
    return figure_layout(artifact).draw(readings, heading, artifact.note)


def figure_data(readings: list[Reading], tier: str, reported: pd.DataFrame) -> pd.DataFrame:
    """The numbers behind a figure, one row a point, with what identifies and qualifies them.

    A point that the paper draws has a row also where there is none of ours.
    """
    frames = []
    for reading in readings:
        cell = reading.entry.cell
        ours = reading.curve if reading.summary is not None else pd.DataFrame([{"index": np.nan}])
        printed = _printed_points(reading, tier, reported)
        points = ours.merge(printed, on="index", how="outer") if len(printed) else ours
        if len(printed) and reading.summary is None:
            points = points[points["index"].notna()]
        whole = verdict_of(reading, tier, reported).text
        frames.append(
            points.assign(
                task=cell.task,
                method=cell.method,
                settings=cell.slug,
                reading=reading.entry.reading,
                metric=reading.entry.metric,
                label=reading.entry.label,
                status=reading.status,
                **reading.selections,
                fingerprints=" ".join(reading.fingerprints),
                changed="; ".join(reading.changed),
                **({} if len(printed) else printed_columns(printed_for(reading.entry, reported))),
                verdict=points["verdict"].fillna("unreported") if len(printed) else whole,
            )
        )
    columns = [
        "task", "method", "settings", "reading", "label", "metric", "index", "reported", "reported_spread",
        "reported_as", "mean", "low", "high", "n", "status", "verdict", *SELECTIONS, "fingerprints",
        "changed",
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True).reindex(columns=columns)


def _printed_points(reading: Reading, tier: str, reported: pd.DataFrame) -> pd.DataFrame:
    """What the paper draws of a curve and the verdicts on it, one row a point; none for what is no curve."""
    return pd.DataFrame(
        [
            {"index": point.index, **printed_columns(point.printed), "verdict": point.verdict.text}
            for point in points_of(reading, tier, reported)
        ]
    )


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write PNG and PDF without dates in them, so that equal figures have equal bytes."""
    with placed(folder / f"{name}.png") as temporary:
        figure.savefig(temporary, dpi=180, metadata={"Software": None})
    with placed(folder / f"{name}.pdf") as temporary:
        figure.savefig(temporary, metadata={"CreationDate": None, "ModDate": None})
    plt.close(figure)
