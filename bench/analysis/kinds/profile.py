"""Profile: how often runs exceed a score, over all tasks of the cells, drawn by `bench.analysis.profiles`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.analysis.kinds import FigureLayout
from bench.analysis.labels import in_a_row, lines_on_tasks, method_title, metric_label
from bench.analysis.style import under_heading
from bench.catalogue.artifacts import Artifact
from bench.errors import SpecError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.analysis.readings import Reading
    from bench.work.entries import Entry


class Layout(FigureLayout):
    """How often runs exceed a score, over all tasks of the cells, one line a method; one metric."""

    # Its own are bootstrap intervals, and the line that says so is drawn with them.
    intervals: ClassVar[str] = ""

    def check(self, artifact: Artifact, where: str) -> None:
        """A line of a profile is a method: one metric, and one cell of each method and task."""
        metrics = {metric for query in artifact.queries for metric in query.metrics}
        if len(metrics) != 1:
            raise SpecError(
                f"{where}: a profile is of one metric, not of {', '.join(sorted(metrics)) or 'none'}. Name "
                "one in all of its cells, or choose another layout."
            )
        seen: set[tuple[str, str]] = set()
        queries = ((n, query) for n, block in enumerate(artifact.cells) for query in block.queries)
        for number, query in queries:
            swept = any(isinstance(value, tuple) and len(value) > 1 for value in query.settings.values())
            for pair in ((task, method) for task in query.tasks for method in query.methods):
                if swept or pair in seen:
                    raise SpecError(
                        f"{where}: key cells.{number}: several cells of {pair[1]} on {pair[0]}, but a line "
                        "of a profile is one cell of a method on each task. Name one, or choose another "
                        "layout."
                    )
                seen.add(pair)

    def draw(self, readings: list[Reading], heading: str, note: str) -> Figure:
        """The profile, and the interquartile mean of each method beside it."""
        from bench.analysis.profiles import draw_profiles

        return draw_profiles(readings, under_heading(heading, note, 2))

    def describe(self, shown: list[Entry]) -> str:
        """The metric, and the methods."""
        metrics = in_a_row([metric_label(entry.suite.catalogue, entry.metric) for entry in shown])
        axes = f"Share of runs above a threshold of {metrics}, and its interquartile mean"
        return lines_on_tasks(axes, [method_title(entry) for entry in shown], shown)
