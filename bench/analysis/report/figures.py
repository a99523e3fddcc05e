"""A figure as a report shows it: its picture's size, and what is seen in it, in words."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from bench.analysis.labels import axis_value, metric_label
from bench.analysis.report.numbers import Number
from bench.catalogue.load import load_catalogue
from bench.catalogue.models import AttentionLayout, BarLayout, CurveLayout, ProfileLayout, ScalingLayout
from bench.errors import UserError
from bench.work.jobs import Entry
from bench.work.renderings import Rendering
from bench.work.reporting import image_of


@dataclass(frozen=True)
class Picture:
    """A picture in the report's folder, in pixels, and its text for who does not see it."""

    path: str
    width: int
    height: int
    text: str


def picture_of(rendering: Rendering, numbers: list[Number]) -> Picture:
    """The picture of a figure; UserError where it is missing or is no picture."""
    path = rendering.outputs[1]
    try:
        head = path.read_bytes()[:24]
        signature, width, height = struct.unpack("!8s8x2I", head)
    except (FileNotFoundError, struct.error):
        signature, width, height = b"", 0, 0
    if signature != b"\x89PNG\r\n\x1a\n":
        raise UserError(
            f"{path}: missing, or no PNG file. Draw it again: snakemake {rendering.name} "
            f"--config tier={rendering.tier} --force"
        )
    return Picture(image_of(rendering), width, height, describe(rendering, numbers))


def describe(rendering: Rendering, numbers: list[Number]) -> str:
    """What is seen: the title, the axes, the panels and the lines; or why there is nothing to see."""
    artifact = rendering.artifact
    ran = [(entry, number) for entry, number in zip(rendering.entries, numbers, strict=True) if number.ours]
    said = f"{artifact.printed}: {artifact.title}. "
    if not ran:
        return said + f"Empty: {'; '.join(dict.fromkeys(number.status for number in numbers))}."
    layout = artifact.layout
    shown = [entry for entry, _ in ran]
    if isinstance(layout, AttentionLayout):
        tasks = _names([number.task_title for _, number in ran])
        if layout.view == "surface":
            return said + f"Hidden attention over the distance to a past token and along an episode, {tasks}."
        return said + f"Matrices of hidden attention, token by token, one a panel, {tasks}."
    axes, lines = _axes_and_lines(layout, shown)
    tasks = _names([number.task_title for _, number in ran])
    return said + f"{axes}; lines or bars: {_names(lines)}; on {tasks}."


def _axes_and_lines(layout: Any, shown: list[Entry]) -> tuple[str, list[str]]:
    """What the axes of a figure are, and what each entry's line or bar in it is called."""
    metrics = _names([metric_label(entry.metric) for entry in shown])
    methods = [load_catalogue().methods[entry.cell.method].title for entry in shown]
    if isinstance(layout, CurveLayout):
        axes = f"{metric_label(layout.y)} over {layout.x}"
        return axes, [axis_value(entry, layout.line) for entry in shown]
    if isinstance(layout, ScalingLayout):
        lines = [entry.label or method for entry, method in zip(shown, methods, strict=True)]
        return f"{metrics}, each over {layout.x.replace('_', ' ')}", lines
    if isinstance(layout, ProfileLayout):
        return f"Share of runs above a threshold of {metrics}, and its interquartile mean", methods
    assert isinstance(layout, BarLayout)
    bars = [axis_value(entry, layout.bar) for entry in shown]
    return f"Bars of {metrics} by {layout.group.replace('_', ' ')}", bars


def _names(values: list[str]) -> str:
    """Each name once, in a row; beyond eight their number alone stands for the rest."""
    names = list(dict.fromkeys(value for value in values if value))
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
