"""What the sequence core is meant to reach, as ratios of two measurements on one machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.timing import Measurement, best


@dataclass(frozen=True)
class Goal:
    """A ratio with its two marks: `must` is to be reached, `stretch` is hoped for."""

    text: str
    benchmark: str
    above: tuple[str, str]  # implementation and case
    below: tuple[str, str]
    must: float
    stretch: float
    at_least: bool = True

    def reached(self, ratio: float) -> str:
        """Say which mark a ratio reaches."""
        for name in ("stretch", "must"):
            mark = getattr(self, name)
            if ratio >= mark if self.at_least else ratio <= mark:
                return name
        return "missed"


S1 = "64x60x256x16"
LONG = "1x12000x256x16"
BOTH, FORWARD = "forward+backward", "forward"

GOALS = (
    Goal(
        "scan forward, over transformers' step-by-step scan",
        "scan",
        ("transformers", f"{FORWARD} {S1}"),
        ("numba", f"{FORWARD} {S1}"),
        *(30, 50),
    ),
    Goal(
        "scan forward+backward, over transformers' step-by-step scan",
        "scan",
        ("transformers", f"{BOTH} {S1}"),
        ("numba", f"{BOTH} {S1}"),
        *(100, 200),
    ),
    Goal(
        "scan forward+backward, over mambapy",
        "scan",
        ("mambapy", f"{BOTH} {S1}"),
        ("numba", f"{BOTH} {S1}"),
        *(35, 60),
    ),
    Goal(
        "the same at length 600",
        "scaling",
        ("mambapy", f"{BOTH} 20x600x256x16"),
        ("numba", f"{BOTH} 20x600x256x16"),
        *(40, 70),
    ),
    Goal(
        "the same at length 12000",
        "scaling",
        ("mambapy", f"{BOTH} {LONG}"),
        ("numba", f"{BOTH} {LONG}"),
        *(40, 70),
    ),
    Goal(
        "scan forward, over the floor",
        "scan",
        ("numba", f"{FORWARD} {S1}"),
        ("floor", f"{FORWARD} {S1}"),
        *(1.8, 1.4, False),
    ),
    Goal(
        "scan forward+backward, over the floor",
        "scan",
        ("numba", f"{BOTH} {S1}"),
        ("floor", f"{BOTH} {S1}"),
        *(2.4, 1.8, False),
    ),
    Goal(
        "peak memory, mambapy's over ours",
        "memory",
        ("mambapy", f"{BOTH} {S1}"),
        ("numba", f"{BOTH} {S1}"),
        *(20, 50),
    ),
    Goal(
        "the same at length 12000",
        "memory",
        ("mambapy", f"{BOTH} {LONG}"),
        ("numba", f"{BOTH} {LONG}"),
        *(40, 50),
    ),
    Goal(
        "time a token at length 12000, over length 60",
        "scaling",
        ("numba", f"{BOTH} {LONG}"),
        ("numba", f"{BOTH} 200x60x256x16"),
        *(1.2, 1.05, False),
    ),
    Goal(
        "DeMa training step, with transformers' Mamba over ours",
        "training",
        ("dema with transformers", "step"),
        ("dema", "step"),
        *(50, 100),
    ),
    Goal(
        "DeMa training step, with mambapy's Mamba over ours",
        "training",
        ("dema with mambapy", "step"),
        ("dema", "step"),
        *(11, 20),
    ),
    Goal("DeMa training step, over DT's", "training", ("dema", "step"), ("dt", "step"), *(0.8, 0.65, False)),
    Goal(
        "rollout of 64 environments, DT's window over DeMa's state",
        "rollout",
        ("dt window", "step"),
        ("dema recurrent", "step"),
        *(11, 20),
    ),
    Goal(
        "a training batch, drawn window by window over gathered at once",
        "batches",
        ("one by one", "64x20"),
        ("gathered", "64x20"),
        *(15, 30),
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
        show(f"{goal.text:66}{ratio:10.3g}{goal.must:8g}{goal.stretch:9g}  {goal.reached(ratio)}")
    return found
