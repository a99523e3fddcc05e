"""What all figures have in common: palettes, sizes, and how lines, axes and gaps are named."""

from __future__ import annotations

import textwrap
from typing import Any

from matplotlib.axes import Axes

from bench.analysis.labels import axis_value, metric_label
from bench.analysis.readings import Reading
from bench.catalogue.load import load_catalogue
from bench.catalogue.models import BarLayout, ScalingLayout

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999"]
STYLES: list[Any] = [
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (8, 2)),
    (0, (1, 3)),
    (0, (3, 3, 1, 3)),
]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
PANEL = (3.4, 2.7)
LOOK = {
    "pdf.fonttype": 42,
    "axes.labelsize": 8,
    "axes.titlesize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
UNCHANGED = "unchanged model"


def line_name(reading: Reading, layout: Any) -> str:
    """What a reading's line, or bar, is called."""
    if isinstance(layout, ScalingLayout):
        settings = {k: v for k, v in reading.entry.cell.settings if k != layout.x}
        title = reading.entry.label or load_catalogue().methods[reading.entry.cell.method].title
        extra = ", ".join(f"{key.replace('_', ' ')}={value}" for key, value in settings.items())
        return title if reading.entry.label or not extra else f"{title} ({extra})"
    name = axis_value(reading.entry, getattr(layout, "line", getattr(layout, "bar", "method")))
    return UNCHANGED if isinstance(layout, BarLayout) and name == layout.baseline else name


def label_values(ax: Axes, panel: str, readings: list[Reading]) -> None:
    """Name the metric on the axis, or its unit alone where the panel's title names it."""
    metric = readings[0].entry.metric
    unit = load_catalogue().metrics[metric].unit
    ax.set_ylabel(unit if panel == "metric" else textwrap.fill(metric_label(metric), 40))


def say_why(ax: Axes, readings: list[Reading]) -> None:
    """Fill an empty panel with the reasons why it is empty."""
    reasons = sorted({reading.status for reading in readings})
    lines = [textwrap.fill(reason, 38) for reason in reasons[:4]]
    ax.text(
        0.5, 0.5, "\n".join(lines), ha="center", va="center", fontsize=8, color="0.35", transform=ax.transAxes
    )
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_color("0.85")
