"""How often `regress` cries wolf, and what it hears: `python -m benchmarks.regression [runs]`.

Runs and stores of known truth, drawn from one distribution a cell, are judged by the rule that `regress`
applies to scores it cannot ask to be equal. Writes results/benchmarks/regression.csv: for each layout of a
store and each kind of seeds the share of unchanged runs with an alarm and, after a shift of one cell by so
many standard deviations between seeds, the share in which that cell is named, with 95 % Wilson intervals.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.expected_range import foretell

RESULT = Path("results/benchmarks/regression.csv")
RUNS = 5_000
SHIFTS = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
# A store's layout: for each family (task and metric) its cells as (stored seeds, new seeds); 0 new ones are
# cells that help to know the spread and are not compared.
Layout = dict[str, list[tuple[int, int]]]
LAYOUTS: dict[str, Layout] = {
    "quick, cells retrained": {
        "darkroom": [(3, 1), (3, 0), (3, 0)],
        "hopper": [(2, 1), (2, 0), (2, 0), (1, 0), (1, 0), (1, 0)],
    },
    "quick, whole run": {
        "darkroom": [(3, 3), (3, 3), (3, 3)],
        "hopper": [(2, 2), (2, 2), (2, 2), (1, 1), (1, 1), (1, 1)],
    },
    "one cell, two seeds": {"task": [(2, 1)]},
    "one cell, three seeds": {"task": [(3, 1)]},
    "one cell, ten seeds": {"task": [(10, 1)]},
    "ten tasks of five methods, three seeds": {f"task {number}": [(3, 3)] * 5 for number in range(10)},
}
Draw = Callable[[np.random.Generator, int, int], NDArray[np.float64]]


def _unequal(generator: np.random.Generator, cell: int, count: int) -> NDArray[np.float64]:
    """Normal; spreads of 1, 2 and 4 in turn, in units of their root mean square."""
    return generator.normal(scale=(1.0, 2.0, 4.0)[cell % 3] / math.sqrt(7.0), size=count)


KINDS: dict[str, Draw] = {
    "normal": lambda generator, cell, count: generator.normal(size=count),
    "normal, spreads 1 to 4": _unequal,
    "heavy tails": lambda generator, cell, count: generator.standard_t(4, count) / math.sqrt(2.0),
    "skewed": lambda generator, cell, count: generator.exponential(size=count),
}


def alarms(
    layout: Layout, draw: Draw, generator: np.random.Generator, shift: float = 0.0
) -> tuple[bool, bool]:
    """One store and one run: whether there is any alarm, and whether the first, shifted cell has one."""
    cells = [(family, *seeds) for family, members in layout.items() for seeds in members]
    stored = {n: draw(generator, n, cell[1]).tolist() for n, cell in enumerate(cells)}
    new = {n: float(draw(generator, n, cell[2]).mean()) for n, cell in enumerate(cells) if cell[2]}
    new[0] += shift
    intervals = foretell(stored, {n: cells[n][2] for n in new}, lambda n: cells[n][0])
    raised = [n for n, interval in intervals.items() if not interval.holds(new[n])]
    return bool(raised), 0 in raised


def wilson(count: int, runs: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    z, share = 1.959964, count / runs
    centre, room = (
        share + z * z / (2 * runs),
        z * math.sqrt(share * (1 - share) / runs + (z / (2 * runs)) ** 2),
    )
    return max(0.0, centre - room) / (1 + z * z / runs), (centre + room) / (1 + z * z / runs)


def measured(name: str, kind: str, shift: float, runs: int) -> dict[str, object]:
    """One row: the share of runs with an alarm or, after a shift, of those that name the shifted cell."""
    generator = np.random.default_rng([len(name), len(kind), int(shift)])
    found = [alarms(LAYOUTS[name], KINDS[kind], generator, shift)[shift > 0] for _ in range(runs)]
    low, high = wilson(sum(found), runs)
    return {
        "layout": name, "seeds": kind, "shift": shift, "runs": runs, "share": round(sum(found) / runs, 5),
        "low": round(low, 5), "high": round(high, 5),
    }  # fmt: skip


def main() -> None:
    """False alarms of every layout and kind of seeds; power of every layout with normal seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="?", type=int, default=RUNS)
    runs = parser.parse_args().runs
    rows = [measured(name, kind, 0, runs) for name in LAYOUTS for kind in KINDS]
    rows += [measured(name, "normal", shift, runs // 5) for name in LAYOUTS for shift in SHIFTS]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows)
    table.to_csv(RESULT, index=False, lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
