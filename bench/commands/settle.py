"""Add seeds in stages until each claim is settled: `python -m bench settle --tier cpu --plan`.

A claim stops when it is supported, contradicted or futile. Without `--plan` this machine runs one job at a
time, first what promises most for each core-second. It may be killed at any moment and started again, here
or on other machines that share the folder. Writes `results/<tier>/settled.csv` and `settled.md`, and the
seeds that are wanted beyond the budgets' to `settle.json`.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.analysis.settled_page import counted, hour_of, open_words, page_of, plan_of, table_of
from bench.analysis.settling import Campaign, Standing, in_order
from bench.errors import UserError, exit_with_message
from bench.files import write_atomically
from bench.work.claims import load_claims
from bench.work.extra_seeds import ask_seeds, seeds_for
from bench.work.jobs import RESULTS, Job
from bench.work.plan import shown_jobs
from bench.work.suite import Suite
from bench.work.taking import Taken, take

# How long to wait where all that is left is being run elsewhere.
WAIT_SECONDS = 15.0
# Runs a taken job to its end; False where it left no result.
RunJob = Callable[[Job, Taken], bool]


def run_job(job: Job, taken: Taken) -> bool:
    """Run a job as the workflow does: its own command, in a process of its own, with its log beside it."""
    log = job.folder / f"{job.stage}.log"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with log.open("w") as output:
        process = subprocess.Popen(
            ["bash", "-c", job.command],
            env=os.environ | {"PATH": path},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        taken.note(process.pid)
        return process.wait() == 0


@dataclass
class Settler:
    """One machine's work on a campaign, for so many seconds."""

    campaign: Campaign
    seconds: float = math.inf
    run: RunJob = run_job
    say: Callable[[str], None] = print
    wait: Callable[[float], None] = time.sleep
    broken: set[Job] = field(default_factory=set)

    def settle(self) -> list[Standing]:
        """Run jobs until nothing is left to run in the time; the claims as they then stand."""
        until = time.monotonic() + self.seconds
        while True:
            standings = self.campaign.survey()
            self.write(standings)
            ordered = in_order(standings)
            jobs = self._ready([job for _, own in ordered for job in own], until - time.monotonic())
            if not jobs:
                self._ask(self._made())
                return standings
            # `snakemake cells claims` then sees what there is, and what the claim that comes first wants.
            first = next(one for one, own in ordered if jobs[0] in own)
            self._ask([*first.next_jobs, *self._made()])
            if not any(self._do(job) for job in jobs):
                self.wait(WAIT_SECONDS)

    def _made(self) -> list[Job]:
        return [job for job, state in self.campaign.states.items() if state == "current"]

    def _ask(self, jobs: list[Job]) -> None:
        """Ask for the seeds of these jobs that the tier's budgets do not give."""
        ask_seeds(self.campaign.tier, seeds_for(job for job in jobs if job not in self._planned))

    @cached_property
    def _planned(self) -> set[Job]:
        suite = self.campaign.suite
        return set(shown_jobs(suite, self.campaign.tier, suite.catalogue.artifacts))

    def _ready(self, jobs: list[Job], seconds: float) -> list[Job]:
        """Those that can be run now, and in the time that is left."""
        left = set(jobs)
        return [
            job
            for job in jobs
            if job not in self.broken and job.core_seconds <= seconds and left.isdisjoint(job.upstream)
        ]

    def _do(self, job: Job) -> bool:
        """Whether the job was free, and is run now or was by another machine just before."""
        taken = take(job)
        if taken is None:
            return False
        with taken:
            if job.state != "current":
                self.say(f"{job.stage} {job.cell.key} seed {job.seed}")
                if not self.run(job, taken) or job.state != "current":
                    self.broken.add(job)
        return True

    def write(self, standings: Sequence[Standing]) -> None:
        """Write settled.csv and settled.md."""
        tier, suite = self.campaign.tier, self.campaign.suite
        folder = RESULTS / tier
        table = table_of(standings).to_csv(index=False, lineterminator="\n")
        write_atomically(folder / "settled.csv", table)
        heading = f"{tier} tier{suite.catalogue.reading_said}"
        write_atomically(folder / "settled.md", page_of(standings, self.campaign.design, heading))


def plan(campaign: Campaign, hours: float, console: Console) -> None:
    """Print what is open, what each claim still costs, and what the next hours decide."""
    standings = campaign.survey()
    suite = campaign.suite
    heading = f"{campaign.tier} tier{suite.source.said}{suite.catalogue.reading_said}: {counted(standings)}"
    console.print(plan_of(standings, heading))
    console.print(hour_of(standings, hours))


@exit_with_message
def main(
    tier: Annotated[str, typer.Option(help="quick, cpu or paper")],
    plan_only: Annotated[bool, typer.Option("--plan", help="say what is open and what it costs")] = False,
    hours: Annotated[
        float | None, typer.Option(min=0.0, help="begin nothing that would end later; of a plan, 1")
    ] = None,
) -> None:
    """Settle the claims of a tier, or plan it; UserError where jobs left no result."""
    suite = Suite.from_environment()
    suite.catalogue.tier(tier)
    campaign = Campaign(suite, load_claims(suite), tier)
    if plan_only:
        plan(campaign, 1.0 if hours is None else hours, Console(width=140))
        return
    suite.source.refuse_store("claims are settled by running jobs")
    settler = Settler(campaign, math.inf if hours is None else 3600 * hours)
    standings = settler.settle()
    print(f"{counted(standings)}: {RESULTS / tier / 'settled.md'}")
    if settler.broken:
        job = min(settler.broken, key=lambda one: one.key)
        raise UserError(
            f"{len(settler.broken)} jobs left no result, the first of them {job.stage} of {job.cell.key} "
            f"seed {job.seed}. Read {job.folder / f'{job.stage}.log'}, mend it, and run this again."
        )
    if open_words(standings):
        print("not all is settled: run this again to go on")
