"""Figures made of panels: a grid of them, alike in size, with one legend for all."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.readings import Reading
from bench.analysis.style import PANEL, line_look, say_why, under_heading
from bench.work.entries import Entry

Looks = dict[str, dict[str, Any]]


def draw_panels(
    readings: list[Reading],
    panel_title: Callable[[Entry], str],
    line_name: Callable[[Entry], str],
    paint: Callable[[Axes, list[Reading], Looks], None],
    heading: str,
    note: str,
) -> Figure:
    """Paint the readings of each panel; a panel without any number says why."""
    panels: dict[str, list[Reading]] = {}
    for reading in readings:
        panels.setdefault(panel_title(reading.entry), []).append(reading)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(PANEL[0] * columns, PANEL[1] * rows + 0.9),
        squeeze=False,
        layout="constrained",
    )
    # The same in every panel.
    names = dict.fromkeys(line_name(reading.entry) for reading in readings)
    looks = {name: line_look(place) for place, name in enumerate(names)}
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (title, shown) in zip(axes.flat, panels.items(), strict=False):
        ax.set_title(textwrap.fill(title, 40))
        if any(reading.summary for reading in shown):
            paint(ax, shown, looks)
            sns.despine(ax=ax)
            _name_missing(ax, line_name, shown)
        else:
            say_why(ax, shown)
    _legend(figure, axes)
    figure.suptitle(under_heading(heading, note, columns), fontsize=9)
    return figure


def _name_missing(ax: Axes, line_name: Callable[[Entry], str], readings: list[Reading]) -> None:
    """Name in the panel the lines that have no number in it."""
    present = {line_name(reading.entry) for reading in readings if reading.summary is not None}
    absent = [name for name in dict.fromkeys(line_name(r.entry) for r in readings) if name not in present]
    if absent:
        text = textwrap.fill("not run: " + ", ".join(absent), 34)
        ax.text(0.02, 0.98, text, va="top", fontsize=6.5, color="0.35", transform=ax.transAxes)


def _legend(figure: Figure, axes: Any) -> None:
    handles: dict[str, Any] = {}
    for ax in axes.flat:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=min(4, len(handles)),
            fontsize=8,
            frameon=False,
        )
