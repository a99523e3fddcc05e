"""The graph of a run: which jobs have to run, what each waits for, and what it may take.

Snakemake asks these things while it builds its graph; nothing here needs Snakemake.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.catalogue.stages import STAGES
from bench.errors import SpecError, UserError
from bench.work.cells import parse_slug
from bench.work.claims import MUTATIONS, load_claims
from bench.work.fingerprint import fingerprint, fingerprint_parts
from bench.work.gathered import files_of, trouble_of
from bench.work.jobs import RESULTS, Job, make_job
from bench.work.plan import all_jobs, must_jobs
from bench.work.progress import START_SECONDS
from bench.work.regression import regressed_jobs
from bench.work.renderings import Rendering
from bench.work.reporting import template_hashes
from bench.work.suite import Suite

# A job's time limit: so many times its estimate, since processors differ, and never less than the minutes.
TIME_LIMIT, LEAST_MINUTES = 3, 10
# What fills in the places of a job's files; Snakemake's wildcards have these names.
Names = Mapping[str, str]


def asked_to_retry(config: Mapping[str, Any]) -> bool:
    """The configuration value `retry`; SpecError if it is neither true nor false."""
    value = config.get("retry", False)
    # On a command line `true` is a word to Snakemake, and `True` a truth value.
    answer = {"true": True, "false": False}.get(str(value).lower())
    if answer is None:
        raise SpecError(
            f"config key retry: {value!r} is neither true nor false. Say retry=true to run again what did "
            "not end well, or leave it out."
        )
    return answer


@dataclass(frozen=True)
class Graph:
    """What a run of a tier makes. With `retry`, a result whose status is not ok is out of date."""

    suite: Suite = field(repr=False, compare=False)
    tier: str
    retry: bool = False
    _named: dict[tuple[str, ...], Job] = field(default_factory=dict, repr=False, compare=False)

    def check(self) -> None:
        """Read everything that is written down; raise UserError at the first that does not hold together."""
        self.suite.catalogue.tier(self.tier)
        load_claims(self.suite)
        all_jobs(self.suite, self.tier)
        _ = self.store

    @cached_property
    def stored(self) -> bool:
        """Whether every number is read from the committed store, and none is made."""
        return not self.suite.source.makes

    @cached_property
    def jobs(self) -> list[Job]:
        """Every job of the tier, upstream first."""
        return all_jobs(self.suite, self.tier)

    @cached_property
    def must(self) -> list[Job]:
        """The jobs of the tier's must list, upstream first; every job of a tier without one."""
        return must_jobs(self.suite, self.tier) or self.jobs

    @cached_property
    def store(self) -> list[Path]:
        """The files all numbers are read from; none in a run that makes its own."""
        return self.suite.source.files(self.tier)

    def job(self, stage: str, names: Names) -> Job:
        """The job of these names, one object each time: its fingerprint is then found once.

        Raises SpecError for names that nothing declares.
        """
        key = (stage, *(names.get(name, "") for name in ("tier", "task", "method", "settings", "seed")))
        if key not in self._named:
            _, tier, task, method, settings, seed = key
            self._named[key] = make_job(
                self.suite,
                stage,
                tier,
                parse_slug(self.suite.catalogue, task, method, settings),
                int(seed or 0),
            )
        return self._named[key]

    def job_command(self, stage: str, names: Names) -> str:
        """The command that makes a job."""
        return self.job(stage, names).command

    def waits(self, job: Job) -> bool:
        """Whether a job has to run: out of date, damaged or missing.

        While `retry` is asked for, also where it is not ok, or its data or checkpoints are damaged.
        """
        if self.stored:
            return False
        state = job.state
        if state not in ("current", "stored"):
            return True
        return self.retry and (not job.result.status.is_ok or (state == "current" and bool(job.trouble)))

    def is_made(self, job: Job) -> bool:
        """Whether a job runs as soon as something here needs its files.

        One that only the store holds does: the store keeps numbers, and what comes after needs checkpoints.
        """
        return self.waits(job) or (job.state == "stored" and not self.stored)

    def records(self, jobs: Iterable[Job]) -> list[Path]:
        """The files that hold the numbers of some jobs: their records, but for what the store holds."""
        return self.store or [job.record for job in jobs if job.state != "stored" or self.waits(job)]

    def upstream(self, job: Job) -> list[tuple[Path, bool]]:
        """The records a job reads, each with whether it stands: its file time then says nothing."""
        return [(before.record, not self.is_made(before)) for before in job.upstream]

    def markers_of_job(self, job: Job) -> list[Path]:
        """The marker of a job that stands and has to run again; none of any other."""
        return _marker(self.is_made(job), job.record, job.tier, job.fingerprint)

    def markers_of_renderings(self, shown: Iterable[Rendering]) -> list[Path]:
        """The markers of those tables or figures that stand and have to be made again.

        One that reads a job which has to run is out of date with it: Snakemake by itself would not
        notice a record that is missing behind a figure that stands.
        """
        markers = []
        for one in shown:
            out_of_date = one.state != "current" or any(self.waits(job) for job in one.jobs)
            markers += _marker(out_of_date, one.outputs[-1], one.tier, one.fingerprint)
        return markers

    def markers_of(self, file: str) -> list[Path]:
        """The marker of what is said of all jobs, such as `cells.csv`, if it stands and one has to run.

        Without it the file stands for good once a record behind it is gone. So it does where it is damaged.
        """
        files = files_of(self.tier, file)
        return _marker(self._any_waits or bool(trouble_of(files)), files[0], self.tier, file)

    def markers_of_pages(self, files: Sequence[Path]) -> list[Path]:
        """The marker of files that one command writes from other files, if one of them is damaged."""
        return _marker(bool(trouble_of(files)), files[0], self.tier, files[0].name)

    @cached_property
    def _any_waits(self) -> bool:
        return any(self.waits(job) for job in self.jobs)

    def renderings(self, kind: str, names: Names = MappingProxyType({})) -> list[Rendering]:
        """The table or figure of these names; every one of the tier if no artifact is named."""
        tier = names.get("tier", self.tier)
        artifacts = [names["artifact"]] if "artifact" in names else self.suite.catalogue.artifacts
        return [shown for name in artifacts if (shown := Rendering(self.suite, tier, name)).kind == kind]

    def records_behind(self, shown: Iterable[Rendering]) -> list[Path]:
        """The files that hold the numbers of tables or figures."""
        return self.records(job for one in shown for job in one.jobs)

    def rendering_command(self, kind: str, names: Names) -> str:
        """The command that makes the table or figure of these names, or every one of the tier."""
        command = f"python -m bench {kind} --tier {names.get('tier', self.tier)}"
        return f"{command} --artifact {names['artifact']}" if "artifact" in names else command

    def regressed(self) -> list[Path]:
        """The records `regress` compares with the store; none, for its message, where that is the source.

        Raises SpecError for what `workflow/regress.yaml` gets wrong.
        """
        return [] if self.stored else [job.record for job in regressed_jobs(self.suite, self.tier)]

    def minutes(self, job: Job, attempt: int) -> int:
        """A job's time limit on a cluster, more after each failed attempt."""
        return attempt * max(LEAST_MINUTES, math.ceil(TIME_LIMIT * job.core_seconds / 60))

    def memory_mib(self, attempt: int) -> int:
        """A job's memory limit on a cluster, more after each failed attempt."""
        return attempt * self.suite.catalogue.tier(self.tier).memory_mib

    def expected_seconds(self, rule: str, names: Names) -> float:
        """What a job of a rule is expected to take: its process's start, and a stage's estimate."""
        return START_SECONDS + (self.job(rule, names).core_seconds if rule in STAGES else 0.0)

    def check_done(self, jobs: Iterable[Job], files: Iterable[Path]) -> None:
        """Check, after a run, that what it was asked for is there and current.

        Raises UserError at the first file that is missing, or job that is damaged, missing or out of date.
        """
        again = f"Run the same command again; `snakemake all --config tier={self.tier}` makes what is missing"
        for path in files:
            if not path.exists():
                raise UserError(f"{path}: missing, although Snakemake ended well. {again}")
        for job in jobs:
            if job.state not in ("current", "stored"):
                raise UserError(f"{job.record}: {job.state}, although Snakemake ended well. {again}")

    @cached_property
    def gathered(self) -> str:
        """Fingerprint of what is said about every job: all numbers, and how each job ended."""
        upstream = [job.fingerprint for job in self.jobs]
        return _of(["cells", "health"], {"stored": self.suite.source.digest(self.tier)}, upstream)

    @property
    def _said(self) -> dict[str, Any]:
        catalogue = self.suite.catalogue
        claims = repr(load_claims(self.suite))
        faults = hashlib.sha256(MUTATIONS.read_bytes()).hexdigest() if MUTATIONS.exists() else ""
        return {
            "claims": claims, "papers": repr(catalogue.papers), "reading": catalogue.reading.text,
            "mutations": faults,
        }  # fmt: skip

    @cached_property
    def claims(self) -> str:
        """Fingerprint of the claims' answers."""
        return _of(["claims"], self._said, [self.gathered])

    @cached_property
    def report(self) -> str:
        """Fingerprint of the report's pages."""
        options = {**self._said, "stored": self.suite.source.digest(self.tier)}
        shown = [
            Rendering(self.suite, self.tier, name).fingerprint for name in self.suite.catalogue.artifacts
        ]
        return _of(["report"], options, shown, template_hashes())

    @cached_property
    def audit(self) -> str:
        """Fingerprint of the audit, which rests on the papers' numbers alone."""
        return _of(["audit"], {}, [])


def _marker(out_of_date: bool, sidecar: Path, tier: str, name: str) -> list[Path]:
    """A file newer than a result that is out of date although it stands; none for any other.

    The sidecar is the truth, also without `.snakemake`: file times and Snakemake's own notes do
    not survive a copy, and do not see edits of imported modules. The marker's content differs
    each time, since Snakemake passes over a newer input whose checksum it knows. Each lies in a
    folder of its own: Snakemake lists a folder once, and takes for missing what is put there later.
    """
    if not (out_of_date and sidecar.exists()):
        return []
    marker = RESULTS / tier / ".markers" / name / "stale"
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text(str(time.time_ns()))
    return [marker]


def _of(
    commands: list[str],
    options: Mapping[str, object],
    upstream: list[str],
    files: dict[str, str] | None = None,
) -> str:
    entries = [f"bench.commands.{command}" for command in commands]
    return fingerprint(fingerprint_parts(entries, options, 0, upstream, files))
