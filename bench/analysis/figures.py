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

from bench.analysis.collect import Reading
from bench.analysis.labels import axis_value, metric_label
from bench.analysis.verdicts import Verdict
from bench.spec.load import load_catalogue
from bench.spec.models import SELECTIONS, Artifact, BarLayout, CurveLayout, ScalingLayout

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


def draw(artifact: Artifact, readings: list[Reading], heading: str) -> Figure:
    """Draw an artifact from its readings; panels without any number say why."""
    matplotlib.use("Agg")
    sns.set_theme(context="paper", style="ticks", rc=LOOK)
    painters: dict[str, Callable[..., None]] = {"curve": _curve, "scaling": _scaling, "bar": _bar}
    painter = painters.get(artifact.layout.kind, _curve_less)
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
        if any(reading.summary for reading in shown) and painter is not _curve_less:
            painter(ax, artifact.layout, shown, colours)
            _name_missing(ax, artifact.layout, shown)
        else:
            _say_why(ax, shown)
    _legend(figure, axes)
    note = textwrap.fill(" ".join(artifact.note.split()), 52 * columns)
    figure.suptitle(f"{heading}\n{note}" if note else heading, fontsize=9)
    return figure


def _order(readings: list[Reading], artifact: Artifact) -> dict[str, int]:
    """Line -> its place in the palettes, the same in every panel."""
    names = dict.fromkeys(_line(reading, artifact.layout) for reading in readings)
    return {name: number % len(COLOURS) for number, name in enumerate(names)}


def _line(reading: Reading, layout: Any) -> str:
    """What a reading's line, or bar, is called."""
    if isinstance(layout, ScalingLayout):
        settings = {k: v for k, v in reading.entry.cell.settings if k != layout.x}
        title = reading.entry.label or load_catalogue().methods[reading.entry.cell.method].title
        extra = ", ".join(f"{key.replace('_', ' ')}={value}" for key, value in settings.items())
        return title if reading.entry.label or not extra else f"{title} ({extra})"
    return axis_value(reading.entry, getattr(layout, "line", getattr(layout, "bar", "method")))


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
        name, data = _line(reading, layout), reading.curve
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
            lines.setdefault(_line(reading, layout), []).append((x, reading))
    for name, points in lines.items():
        points.sort(key=lambda point: point[0])
        ax.plot(
            [x for x, _ in points],
            [r.summary.mean for _, r in points if r.summary],
            label=name,
            **_style(colours[name]),
        )
    ax.set_xlabel(layout.x.replace("_", " ") + " [steps]")
    _label_values(ax, layout.panel, readings)
    if layout.log_x:
        ax.set_xscale("log", base=2)
        ticks = sorted({x for points in lines.values() for x, _ in points})
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    if layout.log_y:
        ax.set_yscale("log")
        for axis_ticks in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
            axis_ticks(ticker.LogFormatter(minor_thresholds=(1.2, 0.6)))
    sns.despine(ax=ax)


def _bar(ax: Axes, layout: BarLayout, readings: list[Reading], colours: dict[str, int]) -> None:
    groups = list(dict.fromkeys(axis_value(reading.entry, layout.group) for reading in readings))
    width = 0.8 / max(len(colours), 1)
    for reading in readings:
        if reading.summary is None:
            continue
        name = _line(reading, layout)
        place = (
            groups.index(axis_value(reading.entry, layout.group))
            + (colours[name] - len(colours) / 2 + 0.5) * width
        )
        half = reading.summary.high - reading.summary.mean
        ax.bar(
            place,
            reading.summary.mean,
            width,
            color=COLOURS[colours[name]],
            label=name,
            yerr=None if np.isnan(half) else half,
            capsize=2,
        )
    shown = {axis_value(reading.entry, layout.group) for reading in readings if reading.summary is not None}
    names = [name if name in shown else f"{name} (not-run)" for name in groups]
    ax.set_xticks(range(len(groups)), names, rotation=30, ha="right")
    ax.set_xlim(-0.6, len(groups) - 0.4)
    _label_values(ax, layout.panel, readings)
    sns.despine(ax=ax)


def _label_values(ax: Axes, panel: str, readings: list[Reading]) -> None:
    """Name the metric on the axis, or its unit alone where the panel's title names it."""
    metric = readings[0].entry.metric
    unit = load_catalogue().metrics[metric].unit
    ax.set_ylabel(unit if panel == "metric" else metric_label(metric))


def _curve_less(*_: Any) -> None:
    """Stands for layouts that only their own stage can fill."""


def _name_missing(ax: Axes, layout: Any, readings: list[Reading]) -> None:
    """Name in the panel the lines that have no number in it."""
    present = {_line(reading, layout) for reading in readings if reading.summary is not None}
    absent = [name for name in dict.fromkeys(_line(r, layout) for r in readings) if name not in present]
    if absent:
        text = textwrap.fill("not-run: " + ", ".join(absent), 34)
        ax.text(0.02, 0.98, text, va="top", fontsize=6.5, color="0.35", transform=ax.transAxes)


def _say_why(ax: Axes, readings: list[Reading]) -> None:
    reasons = sorted({reading.status for reading in readings})
    lines = [textwrap.fill(reason, 38) for reason in reasons[:4]]
    ax.text(
        0.5, 0.5, "\n".join(lines), ha="center", va="center", fontsize=8, color="0.35", transform=ax.transAxes
    )
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_color("0.85")


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
    ]
    return pd.concat(frames, ignore_index=True).reindex(columns=columns)


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write PNG and PDF without dates in them, so that equal figures have equal bytes."""
    figure.savefig(folder / f"{name}.png", dpi=180, metadata={"Software": None})
    figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None, "ModDate": None})
    plt.close(figure)
