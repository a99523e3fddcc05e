"""Bars: groups of bars, and the unchanged model that some of them are compared with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.analysis.kinds import PanelLayout
from bench.analysis.labels import axis_value, in_a_row, lines_on_tasks, metric_label
from bench.analysis.style import label_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bench.analysis.readings import Reading
    from bench.analysis.statistics import Summary
    from bench.analysis.style import Look
    from bench.work.entries import Entry

UNCHANGED = "unchanged model"


class Layout(PanelLayout):
    """Groups of bars: groups along x, one bar for each value of `bar`, one panel for each of `panel`.

    `baseline` is the value of `bar` that stands for the unchanged model, shown as a line across the bars;
    `floor` the score of a random policy, which that model has to exceed for the panel to mean anything.
    """

    group: str = "task"
    bar: str = "method"
    baseline: str = ""
    floor: float | None = None

    @property
    def named_fields(self) -> tuple[str, ...]:
        """Groups and bars, and the panels if there are several."""
        return (self.group, self.bar, *self.panel_fields)

    def line_name(self, entry: Entry) -> str:
        """The entry's value of the field `bar`; the baseline's is the unchanged model."""
        name = axis_value(entry, self.bar)
        return UNCHANGED if name == self.baseline else name

    def paint(self, ax: Axes, readings: list[Reading], looks: dict[str, Look]) -> None:
        """Groups of bars; the baseline, where the layout names one, as a line across all of them."""
        bars = [reading for reading in readings if self.line_name(reading.entry) != UNCHANGED]
        groups = list(dict.fromkeys(axis_value(reading.entry, self.group) for reading in bars))
        names = [name for name in looks if name != UNCHANGED]
        width = 0.8 / max(len(names), 1)
        for reading in bars:
            if reading.summary is None:
                continue
            name, interval = self.line_name(reading.entry), self.spread(reading)
            group = groups.index(axis_value(reading.entry, self.group))
            x, color = group + (names.index(name) - len(names) / 2 + 0.5) * width, looks[name]["color"]
            half = interval.high - interval.mean
            if math.isnan(half):
                # Too few seeds for an interval: a point each, and no bar that hides how few.
                each = reading.scores or (interval.mean,)
                ax.plot([x] * len(each), each, "o", color=color, label=name, markersize=4)
            else:
                ax.bar(x, interval.mean, width, color=color, label=name, yerr=half, capsize=2)
        self._name_groups(ax, groups, bars)
        if self.baseline:
            self._baseline(ax, [r for r in readings if self.line_name(r.entry) == UNCHANGED])
            if max(reading.summary.n for reading in readings if reading.summary) == 1:
                ax.set_xlabel(f"{ax.get_xlabel()}\n(95 % intervals over the episodes of one seed)")
        label_values(ax, self.panel_fields, readings)

    def describe(self, shown: list[Entry]) -> str:
        """The metrics, the groups, and the bars."""
        metrics = in_a_row([metric_label(entry.suite.catalogue, entry.metric) for entry in shown])
        axes = f"Bars of {metrics} by {self.group.replace('_', ' ')}"
        return lines_on_tasks(axes, [axis_value(entry, self.bar) for entry in shown], shown)

    def spread(self, reading: Reading) -> Summary:
        """The interval of a bar: over seeds, or over the episodes of the only seed if there is a baseline."""
        from bench.analysis.statistics import summarise

        assert reading.summary is not None
        if reading.summary.n > 1 or not self.baseline:
            return reading.summary
        return summarise(reading.curve["mean"])

    def _name_groups(self, ax: Axes, groups: list[str], bars: list[Reading]) -> None:
        """Name the groups below the axis, and say which of them have no bar."""
        shown = {axis_value(reading.entry, self.group) for reading in bars if reading.summary is not None}
        ticks = [name if name in shown else f"{name} (not run)" for name in groups]
        ax.set_xlim(-0.6, len(groups) - 0.4)
        if self.group in ("task", "method", "metric"):
            ax.set_xticks(range(len(groups)), ticks, rotation=30, ha="right")
        else:
            ax.set_xticks(range(len(groups)), ticks)
            ax.set_xlabel(self.group.replace("_", " "))

    def _baseline(self, ax: Axes, readings: list[Reading]) -> None:
        """The unchanged model's line and interval, the floor, and if that is too close below it."""
        if self.floor is not None:
            ax.axhline(self.floor, color="0.45", linestyle=":", linewidth=1.2, label="random policy")
            low, high = ax.get_ylim()
            ax.set_ylim(min(low, self.floor - 0.04 * (high - self.floor)), high)
        for reading in readings:
            if reading.summary is None:
                continue
            whole = self.spread(reading)
            ax.axhline(whole.mean, color="black", linestyle="--", linewidth=1.4, label=UNCHANGED)
            if not math.isnan(whole.high):
                across = ax.get_yaxis_transform()
                ax.fill_between(
                    [0, 1], whole.low, whole.high, transform=across, color="black", alpha=0.12, lw=0
                )
            # Not `<=`: an error that is not known must not pass for none.
            if self.floor is not None and not whole.mean > self.floor + 2 * whole.error:
                ax.set_title(
                    f"{ax.get_title()}\n"
                    f"inconclusive: {UNCHANGED} at {whole.mean:.1f}, not two standard errors\n"
                    f"({whole.error:.1f} each) above {self.floor:g}, a random policy's score"
                )
