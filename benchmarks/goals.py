"""What the sequence core is meant to reach, as ratios of two measurements on one machine."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import RESULTS, Measurement, best, read


@dataclass(frozen=True)
class Goal:
    """A ratio with its marks: `must` is to be reached, `stretch`, where there is one, is hoped for."""

    text: str
    benchmark: str
    above: tuple[str, str]  # implementation and case
    below: tuple[str, str]
    must: float
    stretch: float | None = None
    at_least: bool = True

    def reached(self, ratio: float) -> str:
        """Say which mark a ratio reaches."""
        for name in ("stretch", "must"):
            mark = getattr(self, name)
            if mark is not None and (ratio >= mark if self.at_least else ratio <= mark):
                return name
        return "missed"


S1 = "64x60x256x16"
LONG = "1x12000x256x16"
BOTH, FORWARD = "forward+backward", "forward"

JAX = "jax scan, recomputed"

GOALS = (
    Goal(
        "scan forward, over JAX's lax.scan",
        "scan",
        (JAX, f"{FORWARD} {S1}"),
        ("numba", f"{FORWARD} {S1}"),
        7,
        9,
    ),
    Goal(
        "scan forward+backward, over JAX's lax.scan with recompute",
        "scan",
        (JAX, f"{BOTH} {S1}"),
        ("numba", f"{BOTH} {S1}"),
        18,
        24,
    ),
    Goal(
        "scan forward, over transformers' step-by-step scan",
        "scan",
        ("transformers", f"{FORWARD} {S1}"),
        ("numba", f"{FORWARD} {S1}"),
        50,
    ),
    Goal(
        "scan forward+backward, over transformers' step-by-step scan",
        "scan",
        ("transformers", f"{BOTH} {S1}"),
        ("numba", f"{BOTH} {S1}"),
        400,
    ),
    Goal(
        "scan forward+backward, over mambapy",
        "scan",
        ("mambapy", f"{BOTH} {S1}"),
        ("numba", f"{BOTH} {S1}"),
        80,
    ),
    Goal(
        "the same at length 600",
        "scaling",
        ("mambapy", f"{BOTH} 20x600x256x16"),
        ("numba", f"{BOTH} 20x600x256x16"),
        130,
    ),
    Goal(
        "the same at length 12000", "scaling", ("mambapy", f"{BOTH} {LONG}"), ("numba", f"{BOTH} {LONG}"), 110
    ),
    Goal(
        "scan forward, over the floor",
        "scan",
        ("numba", f"{FORWARD} {S1}"),
        ("floor", f"{FORWARD} {S1}"),
        1.5,
        1.3,
        at_least=False,
    ),
    Goal(
        "scan forward+backward, over the floor",
        "scan",
        ("numba", f"{BOTH} {S1}"),
        ("floor", f"{BOTH} {S1}"),
        1.8,
        1.5,
        at_least=False,
    ),
    Goal(
        "peak memory, mambapy's over ours",
        "memory",
        ("mambapy", f"{BOTH} {S1}"),
        ("numba", f"{BOTH} {S1}"),
        30,
    ),
    Goal(
        "peak memory at length 12000, mambapy's over ours",
        "memory",
        ("mambapy", f"{BOTH} {LONG}"),
        ("numba", f"{BOTH} {LONG}"),
        40,
        50,
    ),
    Goal(
        "time a token at length 12000, over length 60",
        "scaling",
        ("numba", f"{BOTH} {LONG}"),
        ("numba", f"{BOTH} 200x60x256x16"),
        1.05,
        0.95,
        at_least=False,
    ),
    Goal(
        "DeMa training step, with transformers' Mamba over ours",
        "training",
        ("dema with transformers", "step"),
        ("dema", "step"),
        110,
    ),
    Goal(
        "DeMa training step, with mambapy's Mamba over ours",
        "training",
        ("dema with mambapy", "step"),
        ("dema", "step"),
        33,
    ),
    Goal(
        "DeMa training step, over DT's",
        "training",
        ("dema", "step"),
        ("dt", "step"),
        0.65,
        0.5,
        at_least=False,
    ),
    Goal(
        "rollout of 64 environments, DT's window over DeMa's state",
        "rollout",
        ("dt window", "step"),
        ("dema recurrent", "step"),
        25,
    ),
    Goal(
        "rollout of 64 environments, cached DT over DeMa's state",
        "rollout",
        ("dt cached", "step"),
        ("dema recurrent", "step"),
        3,
    ),
    Goal(
        "a training batch, drawn window by window over gathered at once",
        "batches",
        ("one by one", "64x20"),
        ("gathered", "64x20"),
        56,
    ),
)


def report(
    measurements: Sequence[Measurement], show: Callable[[str], None] = print
) -> list[tuple[Goal, float]]:
    """Show the ratio of every goal whose measurements are there, beside its marks; returns them."""
    found = []
    show(f"{'ratio':66}{'measured':>10}{'must':>8}{'stretch':>9}")
    for goal in GOALS:
        rows = [m for m in measurements if m.benchmark == goal.benchmark]
        try:
            ratio = best(rows, *goal.above) / best(rows, *goal.below)
        except StopIteration:
            continue
        found.append((goal, ratio))
        stretch = "" if goal.stretch is None else f"{goal.stretch:g}"
        show(f"{goal.text:66}{ratio:10.3g}{goal.must:8g}{stretch:>9}  {goal.reached(ratio)}")
    return found


def write_goals(folder: Path = RESULTS) -> Path:
    """Write goals.csv: the ratio of every goal whose benchmark has a table in `folder`, beside its marks."""
    rows = []
    for benchmark in dict.fromkeys(goal.benchmark for goal in GOALS):
        table = folder / f"{benchmark}.csv"
        if not table.exists():
            continue
        measurements, facts = read(table)
        rows += [
            (goal.text, f"{ratio:.3g}", goal.must, goal.stretch, goal.reached(ratio), *facts)
            for goal, ratio in report(measurements, lambda line: None)
        ]
    path = folder / "goals.csv"
    with path.open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["ratio", "measured", "must", "stretch", "reached", "processor", "torch"])
        lines.writerows(rows)
    return path
