"""Does a plan say what its jobs cost? Cells of a tier drawn by lot, run, and held against their estimates.

    python -m benchmarks.plan_lot --tier cpu --cells 6 --below 300

The lot is among the jobs that end a training's chain (an evaluation, a look into its attention) on the tier's
must list, each with all that it reads. Where no cell by its recurrent state is among them, one takes the last
place. What is current is not run again. Writes results/benchmarks/plan_lot.csv: planned and billed processor
seconds of each job.
"""

from __future__ import annotations

import argparse
import random
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd

from bench.analysis.costs import cost_of
from bench.work.jobs import Job
from bench.work.plan import all_jobs, must_jobs
from bench.work.suite import Suite

OUTPUT = Path("results/benchmarks/plan_lot.csv")


def chain_of(job: Job) -> list[Job]:
    """A job and all that it reads, upstream first."""
    found: dict[Job, None] = {}
    for before in job.upstream:
        found.update(dict.fromkeys(chain_of(before)))
    return [*found, job]


def ends(jobs: list[Job], below: float) -> list[Job]:
    """Those that end a training's chain, which is planned at less than so many core-seconds."""
    read = {before for job in jobs for before in job.upstream}
    return [
        job
        for job in jobs
        if job not in read and job.upstream and sum(each.core_seconds for each in chain_of(job)) < below
    ]


def is_recurrent(job: Job) -> bool:
    """Whether the job's cell is run by its state."""
    return job.resolved.options.get("mode") == "recurrent"


def lot(suite: Suite, tier: str, cells: int, below: float, draw: int) -> list[Job]:
    """The jobs drawn, one a cell; the last is replaced by a recurrent one where none is among them."""
    generator = random.Random(draw)
    drawn = generator.sample(ends(must_jobs(suite, tier), below), cells)
    if not any(is_recurrent(job) for job in drawn):
        recurrent = [job for job in ends(all_jobs(suite, tier), below) if is_recurrent(job)]
        drawn[-1] = generator.choice(recurrent)
    return drawn


def main() -> None:
    """Draw, run, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tier", default="cpu")
    parser.add_argument("--cells", type=int, default=6)
    parser.add_argument("--below", type=float, default=600.0, help="core-seconds that a cell is planned at")
    parser.add_argument("--draw", type=int, default=0, help="seed of the lot")
    parser.add_argument("--show", action="store_true", help="print the lot and run nothing")
    asked = parser.parse_args()
    suite = Suite.from_environment()
    rows = []
    for cell, end in enumerate(lot(suite, asked.tier, asked.cells, asked.below, asked.draw), 1):
        for job in chain_of(end):
            if not asked.show and job.state != "current":
                subprocess.run([sys.executable, *shlex.split(job.command)[1:]], check=True)
            cost = cost_of(job)
            billed = None if cost is None or job.state != "current" else cost.compared
            rows.append([cell, job.stage, job.cell.key, job.seed, job.core_seconds, billed])
            print(*rows[-1], flush=True)
    table = pd.DataFrame(rows, columns=["cell", "stage", "name", "seed", "planned", "billed"])
    if not asked.show:
        table.to_csv(OUTPUT, index=False)
    print(table.groupby("cell")[["planned", "billed"]].sum().assign(ratio=lambda t: t.billed / t.planned))
    print(table[["planned", "billed"]].sum())


if __name__ == "__main__":
    main()
