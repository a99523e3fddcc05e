"""How far a run is: jobs done, running and failed, and the time that is left, while Snakemake runs.

A handler of Snakemake's own log, which the Snakefile adds when a run starts. A logger plugin would do
the same, but Snakemake does not find plugins of a package that is installed editable, as `make` installs
this one. On a terminal a bar stays below the messages; elsewhere a line comes at most twice a minute.
Snakemake's notes on each job's start and end give way to it. Errors, failed jobs' logs and whatever else
it says stay, and its file log keeps all.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from snakemake_interface_logger_plugins.common import LogEvent

# Processor seconds that a job's process takes to start and import what it needs: measured for `train`.
START_SECONDS = 2.3
SECONDS_BETWEEN_LINES = 30.0
REPLACED = (LogEvent.JOB_INFO, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED, LogEvent.PROGRESS)
REPLACED_TEXTS = ("Select jobs to execute...",)


@dataclass
class Tally:
    """What became of the planned jobs. `planned`: number of a job -> seconds it is expected to take."""

    planned: Mapping[int, float]
    begun: float
    running: dict[int, float] = field(default_factory=dict)
    finished: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)

    def start(self, jobs: list[int], now: float) -> None:
        """Jobs start, for the first time or again."""
        for job in set(jobs) & self.planned.keys():
            self.running[job] = now
            self.failed.discard(job)

    def finish(self, job: int, failed: bool = False) -> None:
        """A job ends."""
        self.running.pop(job, None)
        if job in self.planned:
            (self.failed if failed else self.finished).add(job)

    def share(self, now: float) -> float:
        """Share of the planned seconds that is done; a running job counts for what was planned at most."""
        total = sum(self.planned.values())
        done = sum(self.planned[job] for job in self.finished)
        done += sum(min(now - since, self.planned[job]) for job, since in self.running.items())
        return done / total if total else 1.0

    def remaining(self, now: float) -> float | None:
        """Seconds left if the rest goes as fast against the plan as what is done; None before anything is."""
        share = self.share(now)
        return (now - self.begun) * (1 - share) / share if share else None

    def said(self, now: float, ended: bool = False) -> str:
        """The counts, and the time left unless the run has ended, in one line."""
        spent, left = duration(now - self.begun), self.remaining(now)
        return (
            f"{len(self.finished)} of {len(self.planned)} jobs done, {len(self.running)} running, "
            f"{len(self.failed)} failed; {self.share(now):.0%} of the planned work in {spent}"
            + ("" if left is None or ended else f", about {duration(left)} left")
        )


def duration(seconds: float) -> str:
    """Seconds as a reader says them: `40 s`, `12 min`, `3 h 20 min`, `5 days`."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 2880 else f"{minutes // 1440} days"


class ProgressHandler(logging.Handler):
    """Counts Snakemake's events and shows the tally."""

    def __init__(self, tally: Tally, names: Mapping[int, str], console: Console) -> None:
        super().__init__()
        self.tally, self.names, self.console = tally, names, console
        self.last_line = float("-inf")
        self.ended = False
        self.live: Live | None = None
        if console.is_terminal:
            self.live = Live(get_renderable=self._bar, console=console, refresh_per_second=2, transient=True)
            self.live.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Count what a record tells; show where the run is."""
        event, now = getattr(record, "event", None), time.monotonic()
        told: dict[str, Any] = record.__dict__
        if event == LogEvent.JOB_STARTED:
            self.tally.start(told["jobs"], now)
        elif event == LogEvent.JOB_FINISHED:
            self.tally.finish(told["job_id"])
        elif event == LogEvent.JOB_ERROR:
            self.tally.finish(told["jobid"], failed=True)
        else:
            return
        # Not where one has just ended: Snakemake starts the next a moment later, and none would seem to run.
        ended_one = event == LogEvent.JOB_FINISHED
        if self.live is None and not ended_one and now - self.last_line >= SECONDS_BETWEEN_LINES:
            self._line(now)

    def close(self) -> None:
        """The end of the run: the last line. Snakemake closes its handlers, and Python does again at exit."""
        if not self.ended:
            self.ended = True
            if self.live is not None:
                self.live.stop()
            self._line(time.monotonic())
        super().close()

    def _line(self, now: float) -> None:
        self.last_line = now
        self.console.print(f"progress: {self.tally.said(now, self.ended)}", highlight=False, soft_wrap=True)

    def _bar(self) -> Table:
        now = time.monotonic()
        grid = Table.grid(padding=(0, 1))
        grid.add_row(ProgressBar(total=1.0, completed=self.tally.share(now), width=30), self.tally.said(now))
        running = sorted(self.tally.running.items(), key=lambda item: item[1])
        for job, since in running[:4]:
            grid.add_row("", f"{self.names[job]}, {duration(now - since)}")
        return grid


def follow(dag: Any, expected: Callable[[Any], float]) -> None:
    """Show the progress of the jobs that Snakemake's `dag` has to run; `expected` gives a job's seconds."""
    jobs = {dag.jobid(job): job for job in dag.needrun_jobs() if not job.is_norun}
    names = {
        number: " ".join([job.rule.name, *(str(value) for value in job.wildcards)])
        for number, job in jobs.items()
    }
    tally = Tally({number: expected(job) for number, job in jobs.items()}, time.monotonic())
    log = logging.getLogger("snakemake.logging")
    handler = ProgressHandler(tally, names, Console(stderr=True))
    for other in log.handlers:
        if other.name == "DefaultStreamHandler" and isinstance(other, logging.StreamHandler):
            other.addFilter(_is_kept)
            # While the bar is shown, what is printed has to go through it.
            other.setStream(sys.stderr)
    log.addHandler(handler)


def _is_kept(record: logging.LogRecord) -> bool:
    """Whether Snakemake's own message is shown: all but what the progress says in its place."""
    return getattr(record, "event", None) not in REPLACED and record.msg not in REPLACED_TEXTS
