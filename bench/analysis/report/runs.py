"""What a report says of the runs behind its numbers: commands, sidecars, seeds' scores, learning curves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bench.analysis.labels import metric_label
from bench.analysis.readings import job_rows, read_at
from bench.analysis.report.charts import Chart, line_chart
from bench.catalogue.stages import STAGES, Stage
from bench.work.busy import wall_over_processor
from bench.work.cells import Cell, selection_of, trained_cell
from bench.work.entries import Entry
from bench.work.jobs import Job
from bench.work.plan import jobs_of
from bench.work.record import Record

# What a sidecar holds of the machine and the cost: key -> how it is called.
SIDECAR = {
    "status": "status",
    "fingerprint": "fingerprint",
    "git_commit": "commit",
    "platform": "platform",
    "numerics": "numerics",
    "device": "device",
    "scan_backend": "scan backend",
    "python": "Python",
    "versions": "versions",
    "data_source": "data",
    "started": "started",
    "seconds": "wall time [s]",
    "cpu_seconds": "processor time [s]",
    "peak_memory_mib": "peak memory [MiB]",
    "gpu_memory_mib": "peak memory of the GPU [MiB]",
    "gpu_versions": "on the GPU",
    "training_clock": "updates timed by",
}


@dataclass(frozen=True)
class Run:
    """A stage of a cell over its seeds, as one or more numbers rest on it."""

    stage: str
    cell: Cell
    jobs: tuple[Job, ...]

    @property
    def row(self) -> Stage:
        """What is declared of its stage."""
        return STAGES[self.stage]

    @property
    def anchor(self) -> str:
        """Its place on a page."""
        return "run-" + re.sub(r"[^a-z0-9]+", "-", f"{self.stage}-{self.cell.key}".lower())

    @property
    def title(self) -> str:
        """What was done to what."""
        catalogue, cell = self.jobs[0].suite.catalogue, self.cell
        settings = "" if cell.slug == "default" else f" ({cell.slug.replace(',', ', ').replace('_', ' ')})"
        method, task = catalogue.methods[cell.method].title, catalogue.tasks[cell.task].title
        return f"{method}{settings} on {task}: {self.stage}"

    @property
    def chain(self) -> list[Job]:
        """Its jobs and all that they read, in the order in which they have to run."""
        ordered: dict[Job, None] = {}

        def add(job: Job) -> None:
            for before in job.upstream:
                add(before)
            ordered.setdefault(job)

        for job in self.jobs:
            add(job)
        return list(ordered)

    @property
    def trainings(self) -> list[Job]:
        """The trainings of its own cell, not those of a donor; none for a probe."""
        trained = trained_cell(self.jobs[0].suite.catalogue, self.cell)
        return [job for job in self.chain if job.row.keeps == "checkpoints" and job.cell == trained]


@dataclass
class Records:
    """The records of a tier, each read once."""

    tier: str
    _records: dict[Job, Record] = field(default_factory=dict)
    _rows: dict[Job, pd.DataFrame] = field(default_factory=dict)
    _by_metric: dict[Job, dict[str, pd.DataFrame]] = field(default_factory=dict)

    def record(self, job: Job) -> Record:
        """The sidecar of a job."""
        if job not in self._records:
            self._records[job] = job.result
        return self._records[job]

    def rows(self, job: Job) -> pd.DataFrame:
        """The tidy numbers of a job."""
        if job not in self._rows:
            self._rows[job] = job_rows(job)
        return self._rows[job]

    def command(self, job: Job) -> str:
        """The command that reruns a job, as its sidecar has it."""
        return self.record(job).command or job.command

    def runs_of(self, entry: Entry) -> tuple[Run, ...]:
        """The runs a number rests on; none for what is not run, and for settings."""
        runs: dict[tuple[str, Cell], list[Job]] = {}
        for job in jobs_of(entry, self.tier):
            runs.setdefault((job.stage, job.cell), []).append(job)
        return tuple(Run(stage, cell, tuple(jobs)) for (stage, cell), jobs in runs.items())

    def load(self, entry: Entry) -> float:
        """The highest wall over processor time of the runs behind a time; 0 for other numbers, or unknown."""
        metric = entry.suite.catalogue.metrics.get(entry.metric)
        if metric is None or not metric.timed:
            return 0.0
        return max(
            (wall_over_processor(self.record(job)) or 0.0 for job in jobs_of(entry, self.tier)), default=0.0
        )

    def scores(self, entry: Entry) -> dict[int, float]:
        """Each seed's own number, at the checkpoint that its entry asks for; none for a derived metric."""
        rows = self._numbers(jobs_of(entry, self.tier), entry.metric) if not entry.parts else pd.DataFrame()
        if rows.empty:
            return {}
        means = (
            read_at(entry, rows, selection_of(entry.suite.catalogue, entry.cell))
            .groupby("seed")["value"]
            .mean()
        )
        return {int(seed): float(mean) for seed, mean in zip(means.index, means, strict=True)}

    def curves(self, run: Run, metrics: Sequence[str]) -> list[Chart]:
        """The learning curves of a run: its training loss, and the metrics that have several checkpoints."""
        found = [self._curve(run.trainings, "training_loss")]
        found += [self._curve(run.jobs, metric) for metric in metrics if run.trainings]
        return [chart for chart in found if chart]

    def _numbers(self, jobs: Sequence[Job], metric: str) -> pd.DataFrame:
        """The finite numbers of a metric in the jobs' records."""
        frames = [self._finite(job)[metric] for job in jobs if metric in self._finite(job)]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def _finite(self, job: Job) -> dict[str, pd.DataFrame]:
        """The finite numbers of a job, by metric."""
        if job not in self._by_metric:
            rows = self.rows(job)
            finite = rows[np.isfinite(rows["value"])]
            self._by_metric[job] = {str(metric): own for metric, own in finite.groupby("metric", sort=False)}
        return self._by_metric[job]

    def _curve(self, jobs: Sequence[Job], metric: str) -> Chart | None:
        rows = self._numbers(jobs, metric)
        if rows.empty or rows["step"].nunique() < 2:
            return None
        series: dict[str, Sequence[tuple[float, float]]] = {}
        for seed, own in rows.groupby("seed"):
            means = own.groupby("step")["value"].mean()
            series[f"seed {seed}"] = list(zip(means.index.tolist(), means.tolist(), strict=True))
        return line_chart(series, "updates", metric_label(jobs[0].suite.catalogue, metric))

    def sidecars(self, run: Run) -> list[tuple[str, list[str]]]:
        """(field, its value in each job of the chain) of every field that some of them have."""
        records = [
            {
                **record.facts,
                **record.as_dict(),
                "versions": listed(record.versions),
                "gpu_versions": listed(record.gpu_versions),
                "gpu_memory_mib": record.gpu_memory_mib or "",
                "started": record.started.replace("T", " ").replace("+00:00", " UTC"),
            }
            for record in map(self.record, run.chain)
        ]
        table = [(title, [str(record.get(key, "")) for record in records]) for key, title in SIDECAR.items()]
        return [(title, values) for title, values in table if any(values)]

    def options(self, jobs: Sequence[Job]) -> Mapping[str, object]:
        """What the first of some jobs that has a record was run with; none without any."""
        given = (self.record(job).parts.get("options") for job in jobs)
        return next((options for options in given if options), {})


def listed(values: Mapping[str, object], between: str = " ") -> str:
    """`key value, key value`, by name."""
    return ", ".join(f"{key}{between}{value}" for key, value in sorted(values.items()))
