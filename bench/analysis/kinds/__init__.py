"""The kinds of figures: each file here is one, found by its name. This file is what all of them promise.

An artifact with `layout: {kind: bar, group: task}` in its YAML is shown by the class `Layout` of `bar.py`. It
is a pydantic model with methods: its fields are the keys that `layout` may hold; its methods draw the figure,
describe it in words, and refuse an artifact that it cannot show. It derives from

- `PanelLayout` if the figure is made of panels with lines or bars in them. It then draws one panel; the grid,
  the titles, the legend and the panels without a number are drawn for it;
- `FigureLayout` if it draws the whole figure itself.

These files are imported whenever the specification is read, and that must not wait for matplotlib, pandas or
scipy. So a kind imports those inside the functions that need them, and for annotations under `TYPE_CHECKING`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from pydantic import ConfigDict

from bench.analysis.labels import axis_label
from bench.catalogue.artifacts import Artifact, Layout
from bench.errors import SpecError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.analysis.readings import Reading
    from bench.analysis.style import Look
    from bench.work.entries import Entry


class FigureLayout(Layout, ABC):
    """A kind of figure. It may also override what `Layout` has: `named_fields`, `intervals` and `check`."""

    # Built when an artifact uses it: there is nothing to validate a base class for.
    model_config = ConfigDict(defer_build=True)

    @abstractmethod
    def draw(self, readings: list[Reading], heading: str, note: str) -> Figure:
        """The figure of an artifact: its readings, one an entry, under its heading and its note.

        Readings without a `summary` have no number: the figure says their `status` in its place. The caller
        has set the theme; it saves and closes the figure.
        """

    @abstractmethod
    def describe(self, shown: list[Entry]) -> str:
        """What is seen, in a sentence, for who does not see it; `shown` are the entries with a number."""


class PanelLayout(FigureLayout):
    """A figure made of panels: one for each value of the field `panel`, a single one if that is empty.

    Of several fields, one for each combination of their values.
    """

    panel: str | tuple[str, ...] = ""

    @property
    def panel_fields(self) -> tuple[str, ...]:
        """The fields that tell the panels apart."""
        return (self.panel,) * bool(self.panel) if isinstance(self.panel, str) else self.panel

    @abstractmethod
    def line_name(self, entry: Entry) -> str:
        """What the line, or bar, of an entry is called, in the legend too; entries of one name look alike."""

    @abstractmethod
    def paint(self, ax: Axes, readings: list[Reading], looks: dict[str, Look]) -> None:
        """Draw a panel and name its axes.

        At least one of the readings has a number (`summary`); skip those that have none. `looks` holds, for
        every line of the whole figure, what `ax.plot` takes beside the data: colour, line style, marker.
        What is drawn with its line's name as `label` is in the legend.
        """

    def panel_title(self, entry: Entry) -> str:
        """The title of the panel that an entry is in; entries of one title share a panel."""
        return axis_label(entry, self.panel_fields)

    def draw(self, readings: list[Reading], heading: str, note: str) -> Figure:
        """A grid of panels, each painted, with one legend for all of them."""
        from bench.analysis.panels import draw_panels

        return draw_panels(readings, self.panel_title, self.line_name, self.paint, heading, note)


def figure_layout(artifact: Artifact) -> FigureLayout:
    """The layout of an artifact that is a figure; SpecError if it is a table."""
    if not isinstance(artifact.layout, FigureLayout):
        raise SpecError(f"{artifact.printed}: its layout is a {artifact.layout.kind}, which is no figure.")
    return artifact.layout
