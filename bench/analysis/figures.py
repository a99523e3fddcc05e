"""Figures of an artifact: one function a layout; the data behind each lies beside it as CSV.

Bands wider than the lines' own spread are cut at the panel's edge; their ends are in the CSV.
Colours are Okabe and Ito's, told apart with every common colour blindness; each method also
has its own line style and marker. Bands and bars are 95 % t-intervals over seeds.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.attention_maps import draw_attention
from bench.analysis.bars import bar
from bench.analysis.labels import axis_value, metric_label
from bench.analysis.profiles import draw_profiles
from bench.analysis.readings import Reading
from bench.analysis.style import COLOURS, LOOK, MARKERS, PANEL, STYLES, label_values, line_name, say_why
from bench.analysis.verdicts import Verdict
from bench.catalogue.models import (
    SELECTIONS,
    Artifact,
    AttentionLayout,
    CurveLayout,
    ProfileLayout,
    ScalingLayout,
)


def draw(artifact: Artifact, readings: list[Reading], heading: str) -> Figure:
    """Draw an artifact from its readings; panels without any number say why."""
    matplotlib.use("Agg")
    sns.set_theme(context="paper", style="ticks", rc=LOOK)
    if isinstance(artifact.layout, AttentionLayout):
        return draw_attention(artifact.layout, readings, _said(heading, artifact.note, 3))
    if isinstance(artifact.layout, ProfileLayout):
        return draw_profiles(readings, _said(heading, artifact.note, 2))
    painters: dict[str, Callable[..., None]] = {"curve": _curve, "scaling": _scaling, "bar": bar}
    painter = painters[artifact.layout.kind]
    panel_field = getattr(artifact.layout, "panel", None)
    panels: dict[str, list[Reading]] = {}
    for reading in readings:
        panels.setdefault(axis_value(reading.entry, panel_field) if panel_field else "", []).append(reading)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(PANEL[0] * columns, PANEL[1] * rows + 0.9),
        squeeze=False,
        layout="constrained",
    )
    colours = _order(readings, artifact)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (name, shown) in zip(axes.flat, panels.items(), strict=False):
        ax.set_title(textwrap.fill(name, 40))
        if any(reading.summary for reading in shown):
            painter(ax, artifact.layout, shown, colours)
            _name_missing(ax, artifact.layout, shown)
        else:
            say_why(ax, shown)
    _legend(figure, axes)
    figure.suptitle(_said(heading, artifact.note, columns), fontsize=9)
    return figure


def _said(heading: str, note: str, columns: int) -> str:
    """The heading, and the artifact's note under it, as wide as some columns of panels."""
    note = textwrap.fill(" ".join(note.split()), 46 * columns)
    return f"{heading}\n{note}" if note else heading


def _order(readings: list[Reading], artifact: Artifact) -> dict[str, int]:
    """Line -> its place in the palettes, the same in every panel."""
    names = dict.fromkeys(line_name(reading, artifact.layout) for reading in readings)
    return {name: number % len(COLOURS) for number, name in enumerate(names)}


def _style(place: int) -> dict[str, Any]:
    return {
        "color": COLOURS[place],
        "linestyle": STYLES[place],
        "marker": MARKERS[place],
        "markersize": 3.5,
        "linewidth": 1.4,
    }


def _curve(ax: Axes, layout: CurveLayout, readings: list[Reading], colours: dict[str, int]) -> None:
    for reading in readings:
        if reading.summary is None:
            continue
        name, data = line_name(reading, layout), reading.curve
        style = _style(colours[name])
        ax.plot(data["index"], data["mean"], label=name, **style)
        ax.fill_between(
            data["index"], data["low"], data["high"], color=style["color"], alpha=0.18, linewidth=0
        )
    ax.set_xlabel(layout.x.replace("_", " "))
    ax.set_ylabel(metric_label(layout.y))
    _focus(ax, [value for reading in readings if reading.summary for value in reading.curve["mean"]])
    sns.despine(ax=ax)


def _focus(ax: Axes, means: list[float]) -> None:
    """Let the means set the scale: with two or three seeds a t-interval can be far wider than any line."""
    span = (max(means) - min(means)) or 1.0
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, min(means) - 0.6 * span), min(high, max(means) + 0.6 * span))


def _scaling(ax: Axes, layout: ScalingLayout, readings: list[Reading], colours: dict[str, int]) -> None:
    lines: dict[str, list[tuple[float, Reading]]] = {}
    for reading in readings:
        if reading.summary is not None:
            x = float(axis_value(reading.entry, layout.x))
            lines.setdefault(line_name(reading, layout), []).append((x, reading))
    for name, points in lines.items():
        points.sort(key=lambda point: point[0])
        ax.plot(
            [x for x, _ in points],
            [r.summary.mean for _, r in points if r.summary],
            label=name,
            **_style(colours[name]),
        )
    ax.set_xlabel(layout.x.replace("_", " ") + " [steps]")
    label_values(ax, layout.panel, readings)
    if layout.log_x:
        ax.set_xscale("log", base=2)
        ticks = sorted({x for points in lines.values() for x, _ in points})
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    if layout.log_y:
        ax.set_yscale("log")
        for axis_ticks in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
            axis_ticks(ticker.LogFormatter(minor_thresholds=(1.2, 0.6)))
    sns.despine(ax=ax)


def _name_missing(ax: Axes, layout: Any, readings: list[Reading]) -> None:
    """Name in the panel the lines that have no number in it."""
    present = {line_name(reading, layout) for reading in readings if reading.summary is not None}
    absent = [name for name in dict.fromkeys(line_name(r, layout) for r in readings) if name not in present]
    if absent:
        text = textwrap.fill("not-run: " + ", ".join(absent), 34)
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
