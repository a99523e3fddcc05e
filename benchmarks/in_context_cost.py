"""Measure what DM-H says of cost: `python -m benchmarks.in_context_cost [part ...]`; some six minutes in all.

Parts, all of them by default, each writing results/benchmarks/in_context_<part>.csv:
- `online`: a decision with a full context of 200, 2,000 and 4,000 steps, in turns in one process;
- `offline`: an update on one such context, in turns in one process;
- `memory`: the peak of an update on a T-maze of 300, 1,000 and 3,000 steps, each in a process of its own, and
  the longest maze that the line through the last two lets into 24 GiB, the paper's GPU.

Then the ratios that the paper claims, from its Table 4: AD (Transformer) over DM-H online 12 times at 2,000
and 28 times at 4,000 steps, offline 2.0 to 5.8 times at 2,000 and 1.7 to 1.9 times at 4,000. One thread, no
dropout, widths and depths as printed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bench.catalogue.load import load_catalogue
from bench.catalogue.values import defaults
from bench.measure.cost import training_step
from bench.measure.memory import peak_during
from bench.methods.base import Learner, make_learner
from benchmarks.timing import Measurement, best, take_turns, write

CONTEXTS = {"darkroom": 200, "large-darkroom": 2000, "hopper-medium": 4000}
METHODS = ("ad-transformer", "ad-mamba", "dmh")
MAZES, MAZE_METHODS = (300, 1000, 3000), ("dt", "dm", "dmh")
GPU_MEBIBYTES = 24 * 1024
BATCH, UPDATES = 128, 10_000


def learner(task: str, method: str, **changes: Any) -> Learner:
    """A method at its printed size on a task, its weights as initialised."""
    torch.manual_seed(0)
    return make_learner(method, defaults(load_catalogue(), task, method) | {"dropout": 0.0} | changes)


@torch.no_grad()
def online() -> list[Measurement]:
    """A decision with a full context; a key-value cache beside reading anew."""
    rows = []
    for task, steps in CONTEXTS.items():
        contestants: dict[str, Callable[[], object]] = {}
        decisions = {}
        for method in METHODS:
            agent = learner(task, method)
            agent.model.eval()
            timed = agent.timed(np.random.default_rng(0)).online
            assert timed is not None
            for cached in (False, True) if method == "ad-transformer" else (True,):
                work = timed(steps - 1, cached, np.random.default_rng(0))
                name = f"{method}{', cached' if cached and method == 'ad-transformer' else ''}"
                contestants[name], decisions[name] = work.decide, work.decisions
        taken = take_turns("in_context_online", f"{steps} steps", contestants)
        for row in taken:
            share = decisions[row.implementation]
            rows.append(
                Measurement(
                    row.benchmark,
                    row.implementation,
                    row.case,
                    row.best / share,
                    row.median / share,
                    row.repeats,
                )
            )
    return rows


def offline() -> list[Measurement]:
    """An update on one context."""
    rows = []
    for task, steps in CONTEXTS.items():
        contestants = {
            method: training_step(learner(task, method), 1, np.random.default_rng(0)) for method in METHODS
        }
        rows += take_turns("in_context_offline", f"{steps} steps", contestants)
    return rows


def memory() -> list[Measurement]:
    """Peak memory of an update above the weights, on both episodes of a T-maze."""
    rows = []
    for method in MAZE_METHODS:
        peaks = []
        for length in MAZES:
            command = [sys.executable, "-m", "benchmarks.in_context_cost", "--peak", method, str(length)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            peaks.append(float(said))
            rows.append(
                Measurement("in_context_memory", method, f"{length} steps", peaks[-1], peaks[-1], 1, "MiB")
            )
        slope = (peaks[-1] - peaks[-2]) / (MAZES[-1] - MAZES[-2])
        longest = MAZES[-1] + (GPU_MEBIBYTES - peaks[-1]) / slope
        rows.append(
            Measurement("in_context_memory", method, "longest in 24 GiB", longest, longest, 1, "steps")
        )
    return rows


def print_peak(method: str, length: int) -> None:
    """The peak of one update in this process, in mebibytes."""
    torch.set_num_threads(1)
    agent = learner(f"tmaze-passive-{length}", method)
    training_step(learner("tmaze-passive-10", method), 2, np.random.default_rng(0))()
    print(peak_during(training_step(agent, 2, np.random.default_rng(0))) / 2**20)


PARTS: dict[str, Callable[[], list[Measurement]]] = {"online": online, "offline": offline, "memory": memory}


def print_ratios(part: str, rows: list[Measurement]) -> None:
    """Each method over DM-H at each context, and the hours that the unit of Table 4 makes of an update."""
    for steps in CONTEXTS.values():
        case = f"{steps} steps"
        own = best(rows, "dmh", case)
        others = sorted({row.implementation for row in rows if row.case == case} - {"dmh"})
        print(f"{part} {case}: " + "; ".join(f"{o} / dmh = {best(rows, o, case) / own:.2f}" for o in others))
        if part == "offline":
            hours = {m: best(rows, m, case) / 1e3 * BATCH * UPDATES / 3600 for m in METHODS}
            print(f"  hours of {UPDATES} updates of {BATCH}, by proportion: {hours}")


def main() -> None:
    """Run the parts asked for, write their files, print their rows and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all by default")
    parser.add_argument("--peak", nargs=2, metavar=("METHOD", "LENGTH"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.peak:
        print_peak(asked.peak[0], int(asked.peak[1]))
        return
    torch.set_num_threads(1)
    for part in asked.parts or PARTS:
        rows = PARTS[part]()
        for row in rows:
            print(f"{row.implementation:24} {row.case:20} {row.best:12.4g} {row.median:12.4g} {row.unit}")
        print("wrote", write(f"in_context_{part}", rows))
        if part != "memory":
            print_ratios(part, rows)


if __name__ == "__main__":
    main()
