"""Measure the learner that makes learning histories: `python -m benchmarks.histories [part ...]`.

Parts are normal and large; both by default (some six minutes). `normal` times a million steps of 60 tasks in
each normal world, best of three runs; `large` runs each Large world once for 1, 12 and 60 million steps.
Beside the seconds stands what the last tenth of the history earns, as a share of the optimum, and the share
of the tasks that are solved there. Writes results/benchmarks/histories.csv. One thread.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench.catalogue.load import load_catalogue
from bench.catalogue.values import defaults
from bench.worlds.gridworld.data import make
from benchmarks.timing import Measurement, write

WORLDS = ("darkroom", "darkroom-hard", "darkroom-dynamic", "dark-key-to-door")
MILLION = 1_000_000
LARGE_STEPS = (MILLION, 12 * MILLION, 60 * MILLION)


def run(task: str, steps: int) -> tuple[float, dict[str, Any]]:
    """Seconds that the task's histories take, written to a temporary folder, and their facts."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        facts = make(defaults(load_catalogue(), task, None) | {"history_steps": steps}, task, Path(folder))
        return time.perf_counter() - begun, facts


def measured(task: str, steps: int, repeats: int) -> list[Measurement]:
    """Three rows: seconds, last tenth over optimum, share of solved tasks."""
    runs = [run(task, steps) for _ in range(repeats)]
    seconds, facts = [taken for taken, _ in runs], runs[0][1]
    share = facts["last_decile_return"] / facts["optimal_return"]
    case = f"{task} {steps}"
    rows = [
        Measurement("histories", "seconds", case, min(seconds), statistics.median(seconds), repeats, "s"),
        Measurement("histories", "last tenth over optimum", case, share, share, 1, "share"),
        Measurement("histories", "solved", case, facts["solved_tasks"], facts["solved_tasks"], 1, "share"),
    ]
    for row in rows:
        print(f"{row.case:50} {row.implementation:24} {row.best:10.4g} {row.median:10.4g} {row.unit}")
    return rows


def normal() -> list[Measurement]:
    """A million steps in each normal world."""
    return [row for world in WORLDS for row in measured(world, MILLION, 3)]


def large() -> list[Measurement]:
    """More and more steps in each Large world."""
    return [row for world in WORLDS for steps in LARGE_STEPS for row in measured(f"large-{world}", steps, 1)]


PARTS: dict[str, Callable[[], list[Measurement]]] = {"normal": normal, "large": large}


def main() -> None:
    """Run the parts named, or both; only a run of both replaces the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which to run; both by default")
    chosen = parser.parse_args().parts or list(PARTS)
    torch.set_num_threads(1)
    rows = [row for part in chosen for row in PARTS[part]()]
    if set(chosen) == set(PARTS):
        write("histories", rows)


if __name__ == "__main__":
    main()
