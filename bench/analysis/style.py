"""What all figures have in common: palettes, sizes, and how headings, axes and gaps are written.

Colours are Okabe and Ito's, told apart with every common colour blindness; each line also has a style and a
marker of its own.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from bench.analysis.labels import metric_label, reason

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bench.analysis.readings import Reading

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

# How a line or a bar is drawn: keywords of matplotlib.
Look = dict[str, Any]


def line_look(place: int) -> Look:
    """What `ax.plot` takes to draw the line of a place in the palettes; they begin anew when they end."""
    place %= len(COLOURS)
    return {
        "color": COLOURS[place],
        "linestyle": STYLES[place],
        "marker": MARKERS[place],
        "markersize": 3.5,
        "linewidth": 1.4,
    }


def under_heading(heading: str, note: str, columns: int) -> str:
    """The heading, and the artifact's note under it, as wide as some columns of panels."""
    lines = [*heading.splitlines(), " ".join(note.split())]
    return "\n".join(textwrap.fill(line, 46 * columns) for line in lines if line)


def label_values(ax: Axes, panel: tuple[str, ...], readings: list[Reading]) -> None:
    """Name the metric on the axis, or its unit alone where the panel's title names it."""
    metric, catalogue = readings[0].entry.metric, readings[0].entry.suite.catalogue
    unit = catalogue.metrics[metric].unit
    ax.set_ylabel(unit if "metric" in panel else textwrap.fill(metric_label(catalogue, metric), 40))


def say_why(ax: Axes, readings: list[Reading]) -> None:
    """Fill an empty panel with the reasons why it is empty."""
    reasons = sorted({reason(reading.status) for reading in readings})
    lines = [textwrap.fill(one, 38) for one in reasons[:4]]
    ax.text(
        0.5, 0.5, "\n".join(lines), ha="center", va="center", fontsize=8, color="0.35", transform=ax.transAxes
    )
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_color("0.85")
