"""What MuJoCo's stand-in data hold, beside what is printed of D4RL's.

    BENCH_PAPERS=benchmarks/second_ladder python -m benchmarks.stand_ins [task ...]

Makes the datasets of 100,000 transitions that the cpu tier trains on, those that are not current, and writes
results/benchmarks/stand_ins.csv: episodes, mean, deviation and maximum of their returns and their mean
length, of the tasks named or of all nine. Rows of D4RL are of `workflow/datasets.csv`, all its transitions,
with a blank for what is not printed. Hopper's replay data have a second row, by the ladder from the other
training of PPO, which the folder `benchmarks/second_ladder` asks for.
"""

from __future__ import annotations

import argparse
import csv
import shlex
import subprocess
import sys
from pathlib import Path

from bench.work.cells import parse_slug
from bench.work.jobs import dataset_job
from bench.work.suite import Suite

OUTPUT = Path("results/benchmarks/stand_ins.csv")
TIER = "cpu"
# Task -> the policies beside its own.
OTHER_POLICIES = {"hopper-medium-replay": ["hopper-medium-replay-second"]}
COLUMNS = ("data", "made by", "transitions", "episodes", "mean", "deviation", "maximum", "mean length")


def stand_in(suite: Suite, task: str, policy: str | None) -> list[str]:
    """A row of the table of a stand-in, which is made if it is not there."""
    settings = f"behaviour_policy={policy}" if policy else "default"
    job = dataset_job(suite, TIER, parse_slug(suite.catalogue, task, "bc", settings))
    if job.state != "current":
        words = shlex.split(job.command)
        subprocess.run([sys.executable, *words[words.index("-m") :]], check=True)
    facts = job.recorded().facts
    episodes, transitions = facts["trajectories"], facts["transitions"]
    return [
        task,
        f"stand-in, {job.options['behaviour_policy']}",
        str(transitions),
        str(episodes),
        f"{facts['mean_return']:.0f}",
        f"{facts['standard_deviation_of_return']:.0f}",
        f"{facts['largest_return']:.0f}",
        f"{transitions / episodes:.0f}",
    ]


def printed(suite: Suite, task: str) -> list[str]:
    """A row of the table of D4RL's own dataset; blank is what `workflow/datasets.csv` does not know."""
    row = suite.catalogue.datasets[f"d4rl-{task}-v2"]
    length = f"{row.transitions / row.trajectories:.0f}" if row.transitions and row.trajectories else ""
    known = [row.transitions, row.trajectories, row.mean_return, None, row.highest_return]
    return [task, "D4RL", *("" if value is None else f"{value:.0f}" for value in known), length]


def main() -> None:
    """Make what is missing and write the table."""
    suite = Suite.from_environment()
    nine = suite.catalogue.sets["d4rl-nine"]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", choices=[*nine, []], help="all nine by default")
    rows = []
    for task in parser.parse_args().tasks or nine:
        others = OTHER_POLICIES.get(task, [])
        rows += [stand_in(suite, task, policy) for policy in (None, *others)]
        rows.append(printed(suite, task))
        for row in rows[-2 - len(others) :]:
            print(" | ".join(row), flush=True)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    with OUTPUT.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
