"""Bar panels: groups of bars, and the unchanged model that some of them are compared with."""

from __future__ import annotations

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes

from bench.analysis.labels import axis_value
from bench.analysis.readings import Reading
from bench.analysis.statistics import Summary, summarise
from bench.analysis.style import COLOURS, UNCHANGED, label_values, line_name
from bench.catalogue.models import BarLayout


def bar(ax: Axes, layout: BarLayout, readings: list[Reading], colours: dict[str, int]) -> None:
    """Draw groups of bars; the baseline, where the layout names one, as a line across all of them."""
    bars = [reading for reading in readings if line_name(reading, layout) != UNCHANGED]
    groups = list(dict.fromkeys(axis_value(reading.entry, layout.group) for reading in bars))
    names = [name for name in colours if name != UNCHANGED]
    width = 0.8 / max(len(names), 1)
    for reading in bars:
        if reading.summary is None:
            continue
        name, interval = line_name(reading, layout), spread(reading, layout)
        place = (
            groups.index(axis_value(reading.entry, layout.group))
            + (names.index(name) - len(names) / 2 + 0.5) * width
        )
        half = interval.high - interval.mean
        ax.bar(
            place,
            interval.mean,
            width,
            color=COLOURS[colours[name]],
            label=name,
            yerr=None if np.isnan(half) else half,
            capsize=2,
        )
    shown = {axis_value(reading.entry, layout.group) for reading in bars if reading.summary is not None}
    ticks = [name if name in shown else f"{name} (not-run)" for name in groups]
    ax.set_xlim(-0.6, len(groups) - 0.4)
    if layout.group in ("task", "method", "metric"):
        ax.set_xticks(range(len(groups)), ticks, rotation=30, ha="right")
    else:
        ax.set_xticks(range(len(groups)), ticks)
        ax.set_xlabel(layout.group.replace("_", " "))
    if layout.baseline:
        _baseline(ax, layout, [r for r in readings if line_name(r, layout) == UNCHANGED])
        if max(reading.summary.n for reading in readings if reading.summary) == 1:
            ax.set_xlabel(f"{ax.get_xlabel()}\n(95 % intervals over the episodes of one seed)")
    label_values(ax, layout.panel, readings)
    sns.despine(ax=ax)


def spread(reading: Reading, layout: BarLayout) -> Summary:
    """The interval of a bar: over seeds, or over the episodes of the only seed where a baseline is shown."""
    assert reading.summary is not None
    if reading.summary.n > 1 or not layout.baseline:
        return reading.summary
    return summarise(reading.curve["mean"])


def _baseline(ax: Axes, layout: BarLayout, readings: list[Reading]) -> None:
    """The unchanged model's line and interval, the floor, and whether the one is clearly above the other."""
    if layout.floor is not None:
        ax.axhline(layout.floor, color="0.45", linestyle=":", linewidth=1.2, label="random policy")
        low, high = ax.get_ylim()
        ax.set_ylim(min(low, layout.floor - 0.04 * (high - layout.floor)), high)
    for reading in readings:
        if reading.summary is None:
            continue
        whole = spread(reading, layout)
        ax.axhline(whole.mean, color="black", linestyle="--", linewidth=1.4, label=UNCHANGED)
        if not np.isnan(whole.high):
            across = ax.get_yaxis_transform()
            ax.fill_between([0, 1], whole.low, whole.high, transform=across, color="black", alpha=0.12, lw=0)
        # Not `<=`: an error that is not known must not pass for none.
        if layout.floor is not None and not whole.mean > layout.floor + 2 * whole.standard_error:
            ax.set_title(
                f"{ax.get_title()}\ninconclusive: {UNCHANGED} at {whole.mean:.1f}, not two standard errors\n"
                f"({whole.standard_error:.1f} each) above {layout.floor:g}, a random policy's score"
            )
