"""What a report says of a run as a whole: its jobs, what they cost, where and by which code they ran."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.analysis.claims_page import counted, decided_by, rests_on, word_of
from bench.analysis.costs import Line, cost_of, line_of
from bench.analysis.report.runs import Records
from bench.catalogue.catalogue import Catalogue
from bench.work.claim import Claim
from bench.work.jobs import Job

# In the order in which a reader wants them.
CLAIM_VERDICTS = ("supported", "contradicted", "depends", "inconclusive", "not-run")


@dataclass(frozen=True)
class JobRow:
    """One job of the tier, as text."""

    job: Job
    status: str
    seconds: str
    cpu_seconds: str
    peak_memory: str
    device: str
    scan_backend: str
    fingerprint: str
    commit: str
    started: str


def job_rows(jobs: list[Job], records: Records) -> list[JobRow]:
    """One row a job."""
    rows = []
    for job in jobs:
        record = records.record(job)
        rows.append(
            JobRow(
                job,
                str(record.status),
                f"{record.seconds:,.1f}",
                f"{record.cpu_seconds or 0.0:,.1f}",
                f"{record.peak_memory_mib:,.0f}",
                record.device,
                record.scan_backend,
                record.fingerprint,
                record.git_commit,
                record.started,
            )
        )
    return rows


def bills(jobs: list[Job]) -> dict[str, Line]:
    """What each stage cost, and all of them together."""
    costs = {job: cost_of(job) for job in jobs}
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.stage, []).append(job)
    groups["all"] = jobs
    return {name: line_of(own, costs) for name, own in groups.items()}


def environment(jobs: list[Job], records: Records) -> list[tuple[str, list[tuple[str, int]]]]:
    """(what, its values with the number of records that have them), of machine and software."""
    every = [records.record(job) for job in jobs]
    values = {
        "status": [str(record.status) for record in every],
        "commit": [record.git_commit for record in every],
        "platform": [record.platform for record in every],
        "numerics": [record.numerics for record in every],
        "device": [record.device for record in every],
        "scan backend": [record.scan_backend for record in every],
        "threads": [str(record.facts.get("threads", "")) for record in every],
        "data": [record.data_source for record in every],
        "Python": [record.python for record in every],
    }
    packages = sorted({name for record in every for name in record.versions})
    for name in packages:
        values[name] = [record.versions.get(name, "") for record in every]
    return [
        (what, [(value, count) for value, count in Counter(found).most_common() if value])
        for what, found in values.items()
        if any(found)
    ]


@dataclass(frozen=True)
class ClaimShown:
    """A claim, its verdict and what that rests on, how it is decided, and its findings as in claims.csv.

    `verdict` is one of CLAIM_VERDICTS; `scope` follows it: the choice it depends on, or its tasks.
    """

    name: str
    claim: Claim
    verdict: str
    scope: str
    why: str
    rests_on: str
    decided_by: list[str]
    comparisons: list[dict[str, Any]]


def claims_shown(catalogue: Catalogue, claims: dict[str, Claim], table: pd.DataFrame) -> list[ClaimShown]:
    """Each claim with its rows of claims.csv, those with an answer first."""
    shown = []
    for name, claim in claims.items():
        rows = table[table["claim"] == name]
        first = rows.iloc[0]
        comparisons = [
            {str(key): value for key, value in row.items()} | {"counted": counted(row) if row["unit"] else ""}
            for row in rows.to_dict("records")
        ]
        verdict = str(first["claim_verdict"]).split(" ", 1)[0]
        shown.append(
            ClaimShown(
                name,
                claim,
                verdict,
                word_of(rows).removeprefix(verdict).strip(),
                first["claim_why"],
                rests_on(rows),
                decided_by(catalogue, claim, rows),
                comparisons,
            )
        )
    return sorted(shown, key=lambda one: CLAIM_VERDICTS.index(one.verdict))


def data_sources(jobs: list[Job], records: Records) -> dict[str, list[str]]:
    """Source of data -> the tasks that rest on it."""
    found: dict[str, dict[str, None]] = {}
    for job in jobs:
        if not job.row.in_cells:
            task = job.suite.catalogue.tasks[job.cell.task]
            source = records.record(job).data_source or task.data_source
            found.setdefault(source, {}).setdefault(task.title)
    return {source: list(named) for source, named in sorted(found.items())}
