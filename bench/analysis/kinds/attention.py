"""Attention: maps of the hidden attention of a model, drawn by `bench.analysis.attention_maps`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bench.analysis.kinds import FigureLayout
from bench.analysis.labels import task_titles
from bench.analysis.style import under_heading

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.analysis.readings import Reading
    from bench.work.entries import Entry


class Layout(FigureLayout):
    """Hidden-attention maps: over the last K tokens along an episode, or the whole matrix."""

    view: Literal["surface", "matrix"]

    def draw(self, readings: list[Reading], heading: str, note: str) -> Figure:
        """Each cell's maps, one cell below the other."""
        from bench.analysis.attention_maps import draw_attention

        return draw_attention(self.view, readings, under_heading(heading, note, 3))

    def describe(self, shown: list[Entry]) -> str:
        """What the maps are of."""
        tasks = task_titles(shown)
        if self.view == "surface":
            return f"Hidden attention over the distance to a past token and along an episode, {tasks}."
        return f"Matrices of hidden attention, token by token, one a panel, {tasks}."
