"""Small line charts as coordinates, for templates that write them as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 420, 210
LEFT, RIGHT, TOP, BOTTOM = 62, 406, 12, 168


@dataclass(frozen=True)
class Line:
    """One line of a chart: its name, its points as an SVG list, and its last point in pixels."""

    name: str
    points: str
    end: tuple[float, float]


@dataclass(frozen=True)
class Chart:
    """A line chart in pixels; ticks are (position, label)."""

    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    description: str


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round values from `low` to `high`, both within them."""
    if low == high:
        return [low]
    rough = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [step * number for number in range(first, math.floor(high / step + 1e-9) + 1)]


def line_chart(series: dict[str, Sequence[tuple[float, float]]], x_label: str, y_label: str) -> Chart:
    """A chart of (x, y) series by name; series hold at least one point and finite numbers."""
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    (left, right), (low, high) = _range(xs), _range(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            round(LEFT + (RIGHT - LEFT) * (x - left) / (right - left), 1),
            round(BOTTOM - (BOTTOM - TOP) * (y - low) / (high - low), 1),
        )

    lines = []
    for name, points in series.items():
        pixels = [place(x, y) for x, y in sorted(points)]
        lines.append(Line(name, " ".join(f"{x:g},{y:g}" for x, y in pixels), pixels[-1]))
    said = f"{y_label} over {x_label}, from {min(xs):g} to {max(xs):g}. " + "; ".join(
        f"{name} ends at {sorted(points)[-1][1]:.4g}" for name, points in series.items()
    )
    return Chart(
        x_label,
        y_label,
        tuple(lines),
        tuple((place(tick, low)[0], f"{tick:,g}") for tick in nice_ticks(left, right)),
        tuple((place(left, tick)[1], f"{tick:,g}") for tick in nice_ticks(low, high)),
        said,
    )


def _range(values: list[float]) -> tuple[float, float]:
    """The ends of an axis; a single value lies in its middle."""
    low, high = min(values), max(values)
    if low < high:
        return low, high
    room = abs(low) / 2 or 1.0
    return low - room, high + room


@dataclass(frozen=True)
class Interval:
    """An effect on a line from left (0) to right (100), with its interval and what it is held against."""

    effect: float
    low: float
    high: float
    marks: tuple[float, ...]
    labels: tuple[tuple[float, str], ...]


def interval_chart(effect: float, low: float, high: float, marks: Sequence[float], ratio: bool) -> Interval:
    """Where an effect lies beside `marks`; NaN ends mean no interval; a ratio's axis is logarithmic."""
    low, high = (effect if math.isnan(end) else end for end in (low, high))
    scale = math.log if ratio else float
    shown = [scale(value) for value in (effect, low, high, *marks, 1.0 if ratio else 0.0)]
    least, greatest = min(shown), max(shown)
    room = 0.12 * (greatest - least) or 1.0

    def place(value: float) -> float:
        return round(100 * (scale(value) - least + room) / (greatest - least + 2 * room), 1)

    return Interval(
        place(effect),
        place(low),
        place(high),
        tuple(place(mark) for mark in marks),
        tuple((place(mark), f"{mark:g}") for mark in marks),
    )
