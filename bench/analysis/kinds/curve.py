"""Curves: lines over the index of a metric (episodes, say), each with its band."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.analysis.kinds import PanelLayout
from bench.analysis.labels import axis_value, lines_on_tasks, metric_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bench.analysis.readings import Reading
    from bench.analysis.style import Look
    from bench.work.entries import Entry


class Layout(PanelLayout):
    """Lines over the index of a metric, one panel a task."""

    x: str
    y: str
    panel: str | tuple[str, ...] = "task"
    line: str = "method"
    # A dotted line where both axes say the same, as where a return is earned that was asked for.
    diagonal: bool = False

    @property
    def named_fields(self) -> tuple[str, ...]:
        """Panels and lines; `x` is free text, and `y` is a metric."""
        return (*self.panel_fields, self.line)

    def line_name(self, entry: Entry) -> str:
        """The entry's value of the field `line`."""
        return axis_value(entry, self.line)

    def paint(self, ax: Axes, readings: list[Reading], looks: dict[str, Look]) -> None:
        """Every mean, with its interval as a band."""
        means: list[float] = []
        for reading in readings:
            if reading.summary is None:
                continue
            name, data = self.line_name(reading.entry), reading.curve
            ax.plot(data["index"], data["mean"], label=name, **looks[name])
            ax.fill_between(
                data["index"], data["low"], data["high"], color=looks[name]["color"], alpha=0.18, linewidth=0
            )
            means += [*data["mean"]]
        ax.set_xlabel(self.x.replace("_", " "))
        ax.set_ylabel(metric_label(readings[0].entry.suite.catalogue, self.y))
        if self.diagonal:
            ax.axline((0.0, 0.0), slope=1.0, color="0.5", linestyle=":", linewidth=1, zorder=0)
            ax.set_ylim(bottom=0.0)
        else:
            _focus(ax, means)

    def describe(self, shown: list[Entry]) -> str:
        """The metric, what it is over, and the lines."""
        lines = [self.line_name(entry) for entry in shown]
        return lines_on_tasks(f"{metric_label(shown[0].suite.catalogue, self.y)} over {self.x}", lines, shown)


def _focus(ax: Axes, means: list[float]) -> None:
    """Let the means set the scale: with two or three seeds a t-interval can be far wider than any line."""
    span = (max(means) - min(means)) or 1.0
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, min(means) - 0.6 * span), min(high, max(means) + 0.6 * span))
