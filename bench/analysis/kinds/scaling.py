"""Scaling: lines over a setting that is a number, such as the length of the context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.analysis.kinds import PanelLayout
from bench.analysis.labels import axis_value, in_a_row, lines_on_tasks, method_title, metric_label
from bench.analysis.style import label_values
from bench.catalogue.choices import READING
from bench.catalogue.strict import OptionName, Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bench.analysis.readings import Reading
    from bench.analysis.style import Look
    from bench.work.entries import Entry


class Layout(PanelLayout):
    """Lines over a setting, one panel a metric."""

    x: OptionName
    panel: str | tuple[str, ...] = "metric"
    line: str = "method"
    log_x: bool = True
    log_y: bool = True

    @property
    def named_fields(self) -> tuple[str, ...]:
        """Panels, lines, and the setting."""
        return (*self.panel_fields, self.line, self.x)

    def line_name(self, entry: Entry) -> str:
        """The query's label, else the method and those of its settings that are not `x`."""
        settings: dict[str, Value] = {name: value for name, value in entry.asked.settings if name != self.x}
        if entry.reading != entry.suite.catalogue.reading.text:
            settings[READING] = entry.reading
        if entry.label or not settings:
            return entry.label or method_title(entry)
        extra = ", ".join(f"{name.replace('_', ' ')}={value}" for name, value in settings.items())
        return f"{method_title(entry)} ({extra})"

    def paint(self, ax: Axes, readings: list[Reading], looks: dict[str, Look]) -> None:
        """Every mean, those of one line joined in the order of the setting; too few seeds as a point each."""
        from bench.analysis.statistics import FEWEST_SEEDS

        lines: dict[str, list[tuple[float, float]]] = {}
        for reading in readings:
            if reading.summary is not None:
                point = (float(axis_value(reading.entry, self.x)), reading.summary.mean)
                name = self.line_name(reading.entry)
                lines.setdefault(name, []).append(point)
                if 1 < len(reading.scores) < FEWEST_SEEDS:
                    each = [point[0]] * len(reading.scores)
                    ax.plot(each, reading.scores, ".", color=looks[name]["color"], markersize=4)
        for name, points in lines.items():
            points.sort(key=lambda point: point[0])
            ax.plot([x for x, _ in points], [y for _, y in points], label=name, **looks[name])
        ax.set_xlabel(self.x.replace("_", " ") + " [steps]")
        label_values(ax, self.panel_fields, readings)
        if self.log_x:
            ax.set_xscale("log", base=2)
            ticks = sorted({x for points in lines.values() for x, _ in points})
            ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        if self.log_y:
            _logarithmic(ax)

    def describe(self, shown: list[Entry]) -> str:
        """The metrics, the setting they are over, and the lines."""
        metrics = in_a_row([metric_label(entry.suite.catalogue, entry.metric) for entry in shown])
        lines = [entry.label or method_title(entry) for entry in shown]
        return lines_on_tasks(f"{metrics}, each over {self.x.replace('_', ' ')}", lines, shown)


def _logarithmic(ax: Axes) -> None:
    from matplotlib import ticker

    ax.set_yscale("log")
    for axis_ticks in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        axis_ticks(ticker.LogFormatter(minor_thresholds=(1.2, 0.6)))
