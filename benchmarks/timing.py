"""Timing several implementations of one thing against each other, in one process and in turns."""

from __future__ import annotations

import csv
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch

RESULTS = Path("results/benchmarks")
TURN = 0.2  # seconds


@dataclass(frozen=True)
class Measurement:
    """What one implementation took: milliseconds, or mebibytes where `unit` says so."""

    benchmark: str
    implementation: str
    case: str
    best: float
    median: float
    repeats: int
    unit: str = "ms"


def take_turns(
    benchmark: str,
    case: str,
    contestants: Mapping[str, Callable[[], object]],
    seconds: float = 2.0,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Measurement]:
    """Time each contestant again and again, in turns, so that a busy machine slows all of them alike.

    Each is run once to warm up, then has at least three turns, and further ones until it has had `seconds`. A
    turn is one run or a fifth of a second, so that what a gigabyte of the contestant before did to caches and
    freed memory passes within the turn.
    """
    for run in contestants.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    turns = dict.fromkeys(contestants, 0)
    while waiting := [name for name, taken in times.items() if turns[name] < 3 or sum(taken) < seconds]:
        for name in waiting:
            turns[name] += 1
            spent = 0.0
            while spent < TURN:
                start = clock()
                contestants[name]()
                times[name].append(clock() - start)
                spent += times[name][-1]
    return [
        Measurement(benchmark, name, case, min(taken) * 1e3, statistics.median(taken) * 1e3, len(taken))
        for name, taken in times.items()
    ]


def host() -> dict[str, str]:
    """Facts about this machine that its numbers depend on."""
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    return {
        "processor": models[0].split(":")[1].strip() if models else platform.processor(),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def write(name: str, measurements: Iterable[Measurement], more: Mapping[str, str] | None = None) -> Path:
    """Write results/benchmarks/<name>.csv, the host's facts and `more` of them in every row."""
    path = RESULTS / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = host() | dict(more or {})
    with path.open("w", newline="") as file:
        columns = [field.name for field in fields(Measurement)]
        table = csv.DictWriter(file, [*columns, *facts], lineterminator="\n")
        table.writeheader()
        for row in measurements:
            table.writerow({**asdict(row), "best": f"{row.best:.4g}", "median": f"{row.median:.4g}", **facts})
    return path


def read(path: Path) -> tuple[list[Measurement], tuple[str, str]]:
    """Return what `write` wrote, and the processor and the torch of its first row."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    measurements = [
        Measurement(
            *(row[name] for name in ("benchmark", "implementation", "case")),
            *(float(row["best"]), float(row["median"]), int(row["repeats"]), row["unit"]),
        )
        for row in rows
    ]
    return measurements, (rows[0]["processor"], rows[0]["torch"])


def best(measurements: Iterable[Measurement], implementation: str, case: str) -> float:
    """Return the best time of one implementation in one case."""
    return next(m.best for m in measurements if (m.implementation, m.case) == (implementation, case))
