"""The figure of time a token against sequence length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.goals import BOTH, FORWARD
from benchmarks.timing import Measurement

LABELS = {
    "numba": "this suite, numba",
    "torch": "this suite, torch",
    "mambapy": "mambapy, parallel scan",
    "transformers": "transformers, step by step",
}


def draw(measurements: Sequence[Measurement], path: Path) -> None:
    """Draw microseconds a token against length, a panel for each pass, a line for each implementation."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for panel, way in zip(panels, (FORWARD, BOTH), strict=True):
        for who, label in LABELS.items():
            points = []
            for m in measurements:
                passes, shape = m.case.split()
                if (passes, m.implementation) == (way, who):
                    batch, length = (int(size) for size in shape.split("x")[:2])
                    points.append((length, m.best * 1e3 / (batch * length)))
            panel.plot(*zip(*sorted(points), strict=True), marker="o", markersize=3, label=label)
        panel.set(xscale="log", yscale="log", title=way, xlabel="sequence length (12000 tokens in all)")
        panel.grid(alpha=0.3, which="both", linewidth=0.5)
    panels[0].set_ylabel("microseconds a token, one thread")
    panels[0].legend(frameon=False, fontsize=8, loc="upper left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
