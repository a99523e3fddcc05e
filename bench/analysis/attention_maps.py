"""Hidden-attention figures: heat maps on one logarithmic colour scale, with the decay that was fitted.

`view: surface` (the paper's 3D surfaces, seen from above): weight over episode step and distance in tokens,
all layers fused and each alone; beside each map its mean over the steps with the fitted exponential. `view:
matrix`: outputs against inputs, one channel of each layer, each layer fused, and all of them. Maps are of the
first seed; half-lives are means over the seeds. Colours are viridis, which rises evenly in lightness.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.analysis.labels import axis_value
from bench.analysis.readings import Reading
from bench.analysis.style import COLOURS, MARKERS, say_why

COLOUR_MAP = "viridis"
# Weights below this share of the largest have the darkest colour.
DARKEST = 1e-4
KINDS = {"return": "return-to-go"}  # those that are not called as the maps name them
Row = list[Reading]


def draw_attention(view: str, readings: list[Reading], heading: str) -> Figure:
    """Draw each cell's maps, one cell below the other; one without any says why."""
    cells: dict[tuple[str, str], Row] = {}
    for reading in readings:
        cells.setdefault((reading.entry.cell.key, reading.entry.label), []).append(reading)
    filled = {key: maps for key, row in cells.items() if (maps := _maps(row))}
    if not filled:
        figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
        say_why(ax, _without_number(readings))
        figure.suptitle(heading, fontsize=9)
        return figure
    layers = max(len(maps["matrices"]) for maps in filled.values())
    rows = -(-layers // 2) if view == "surface" else 2
    figure = plt.figure(figsize=(10, (2.6 * rows + 0.5) * len(cells) + 0.7), layout="constrained")
    norm = _norm(list(filled.values()), view)
    parts = figure.subfigures(len(cells), 1, squeeze=False)[:, 0]
    for part, (key, row) in zip(parts, cells.items(), strict=True):
        if key not in filled:
            say_why(part.subplots(), _without_number(row))
            continue
        if len(cells) > 1:
            part.suptitle(row[0].entry.label or axis_value(row[0].entry, "task"), fontsize=9)
        paint = _surfaces if view == "surface" else _matrices
        axes, image = paint(part, filled[key], _titles(row, len(filled[key]["matrices"])), norm)
        bar = part.colorbar(image, ax=axes, pad=0.01, aspect=30, extend="min")
        bar.set_label("hidden attention: magnitude of the weight", fontsize=8)
    figure.suptitle(heading, fontsize=9)
    return figure


def _without_number(row: Row) -> Row:
    return [reading for reading in row if reading.summary is None]


def _maps(row: Row) -> dict[str, NDArray[Any]]:
    """The arrays of a cell; empty where it has none."""
    return next((reading.arrays for reading in row if reading.arrays), {})


def token_kinds(maps: dict[str, NDArray[Any]]) -> list[str]:
    """What tokens hold, from the one read backwards."""
    return [KINDS.get(kind, kind) for kind in maps["token_kinds"].tolist()]


def _norm(cells: list[dict[str, NDArray[Any]]], view: str) -> LogNorm:
    names = ("weights",) if view == "surface" else ("matrices", "channels")
    largest = max(float(np.nanmax(maps[name])) for maps in cells for name in names)
    return LogNorm(DARKEST * largest, largest, clip=False)


def _titles(row: Row, count: int) -> list[str]:
    """Name, half-life and fit of all layers fused, and of each; intervals where there are several seeds."""
    found: dict[str, dict[int, Any]] = {
        reading.entry.metric: {int(point["index"]): point for _, point in reading.curve.iterrows()}
        for reading in row
        if reading.summary is not None
    }
    titles = []
    for layer in range(count):
        name = f"layer {layer}, channels fused" if layer else "all layers fused"
        life, fit = (found.get(m, {}).get(layer) for m in ("attention_half_life", "attention_fit"))
        decay = "no decay with distance" if life is None else f"half-life {life['mean']:.1f}"
        if life is not None and life["n"] > 1:
            decay += f" [{life['low']:.1f}, {life['high']:.1f}]"
        decay += "" if life is None else " tokens"
        titles.append(f"{name}\n{decay}" + ("" if fit is None else f", R² {fit['mean']:.2f}"))
    return titles


def _surfaces(
    part: Any, maps: dict[str, NDArray[Any]], titles: list[str], norm: LogNorm
) -> tuple[list[Axes], Any]:
    rows = -(-len(titles) // 2)
    grid = part.subplots(rows, 4, squeeze=False, width_ratios=[3, 1.2, 3, 1.2])
    for ax in grid.flat[2 * len(titles) :]:
        ax.set_visible(False)
    for number, title in enumerate(titles):
        ax, beside = grid[number // 2, 2 * (number % 2) : 2 * (number % 2) + 2]
        weights = maps["weights"][number]
        distances = np.arange(weights.shape[1])
        image = ax.pcolormesh(
            maps["steps"],
            distances,
            weights.T,
            norm=norm,
            cmap=COLOUR_MAP,
            rasterized=True,
            shading="nearest",
        )
        ax.set_title(title, fontsize=8)
        ax.set_ylabel("distance [tokens]")
        if number + 2 >= len(titles):
            ax.set_xlabel(f"step of the episode (seed {maps['seed']})")
            beside.set_xlabel("mean weight")
        _profile(beside, weights, token_kinds(maps), float(maps["half_lives"][number]))
        beside.sharey(ax)
        beside.tick_params(labelleft=False)
    handles = {line.get_label(): line for ax in grid.flat if ax.get_visible() for line in ax.lines}
    part.legend(handles=[*handles.values()], loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return [ax for ax in grid.flat if ax.get_visible()], image


def _profile(ax: Axes, weights: NDArray[Any], kinds: list[str], half_life: float) -> None:
    """Mean weight by distance, one marker for each kind of token, and the exponential fitted to it."""
    mean = np.nanmean(weights, axis=0)
    distances = np.arange(len(mean))
    for place, kind in enumerate(kinds):
        ax.plot(
            mean[place :: len(kinds)], distances[place :: len(kinds)], MARKERS[place], color=COLOURS[place],
            markersize=2.5, label=f"{kind} token",
        )  # fmt: skip
    if not np.isnan(half_life):
        # A least-squares line runs through the means of what it was fitted to.
        fitted = distances[mean > 0]
        centre = np.log2(mean[fitted]).mean() + fitted.mean() / half_life
        ax.plot(
            2 ** (centre - distances / half_life), distances, "--", color="black", lw=1.2, label="exponential"
        )
    ax.set_xscale("log")


def _matrices(
    part: Any, maps: dict[str, NDArray[Any]], titles: list[str], norm: LogNorm
) -> tuple[list[Axes], Any]:
    layers = len(titles) - 1
    grid = part.subplots(2, layers + 1, squeeze=False)
    grid[0, layers].set_visible(False)
    order = [*range(1, layers + 1), 0]
    step, channel = int(maps["steps"][-1]), int(maps["channel"])
    shown = [
        (grid[0, n], maps["channels"][n], f"layer {n + 1}, channel {channel} alone") for n in range(layers)
    ]
    shown += [(grid[1, n], maps["matrices"][which], titles[which]) for n, which in enumerate(order)]
    for ax, matrix, title in shown:
        size = len(matrix)
        causal = np.where(np.tri(size, dtype=bool), matrix, np.nan)
        image = ax.imshow(causal, norm=norm, cmap=COLOUR_MAP, extent=(0.5, size + 0.5, size + 0.5, 0.5))
        ax.set_title(title, fontsize=8)
    for ax in grid[1]:
        ax.set_xlabel("token read, oldest first")
    for ax in grid[:, 0]:
        ax.set_ylabel("token that reads")
    kinds = token_kinds(maps)
    named = "one token a step" if len(kinds) == 1 else f"the last first: {', '.join(kinds)}, and so on"
    part.supxlabel(f"seed {maps['seed']}, the tokens behind the action of step {step}; {named}", fontsize=8)
    return [ax for ax in grid.flat if ax.get_visible()], image
