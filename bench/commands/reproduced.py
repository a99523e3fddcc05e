"""Add a finished run's line to `REPRODUCED.md`: `python -m bench reproduced --tier quick --by "A. Name"`.

A command of its own and no rule, since what is in git is the output of no rule.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from bench.analysis.claims_table import tables_of
from bench.analysis.completeness import finished_jobs
from bench.analysis.regression_page import what_agrees
from bench.commands.cells import gather
from bench.commands.claims import of_budgets
from bench.commands.regress import regress
from bench.errors import UserError, exit_with_message
from bench.files import ROOT, write_atomically
from bench.work.claims import load_claims
from bench.work.record import Record
from bench.work.suite import Suite

PAGE = ROOT / "REPRODUCED.md"
COLUMNS = (
    "run", "date", "by", "commit", "tier", "platform", "versions", "jobs", "wall-hours", "core-hours",
    "claims", "against the store",
)  # fmt: skip
HEADER = "| " + " | ".join(COLUMNS) + " |"
# The packages that numbers rest on most; the rest is in each record.
VERSIONS = ("torch", "numpy", "numba", "gymnasium", "mujoco")


def finished_records(suite: Suite, tier: str) -> list[Record]:
    """The records of a tier's jobs.

    Raises UserError where one is missing, out of date or broken, or where they are not of one clean commit.
    """
    # What was taken from the store is no part of this run.
    records = [job.result for job in finished_jobs(suite, tier)]
    commits = {record.git_commit for record in records}
    again = (
        f"Commit your changes, delete results/{tier}/cells and results/{tier}/datasets, and run all of it "
        f"again: snakemake all --config tier={tier}"
    )
    if any(commit.endswith("+") or not commit for commit in commits):
        raise UserError(
            f"results/{tier}: key git_commit: part of this run was made outside git or with changes that "
            f"are in no commit, so nobody else could run the same. {again}"
        )
    if len(commits) > 1:
        raise UserError(
            f"results/{tier}: key git_commit: this run was made at {len(commits)} commits "
            f"({', '.join(sorted(commits))}), and a line is of one. {again}"
        )
    return records


def line_of(suite: Suite, tier: str, by: str) -> dict[str, str]:
    """The line of a finished run: column -> text. UserError where the run does not stand as it should."""
    if not by.strip() or set(by) & set("|\n\r"):
        raise UserError(
            f"option --by: expected a name without '|' and line breaks, got {by!r}. Give the name that the "
            'line shall carry: --by "A. Name"'
        )
    records = finished_records(suite, tier)
    answers, _ = tables_of(suite, load_claims(suite), of_budgets(suite, tier, gather(suite, tier)), tier)
    verdicts = answers.drop_duplicates("claim")["claim_verdict"].value_counts()
    compared, _ = regress(suite, tier, every_cell=True)
    found = len(compared.findings)
    identity = repr(sorted((r.fingerprint, r.started) for r in records))
    return {
        "run": hashlib.sha256(identity.encode()).hexdigest()[:8],
        "date": max(r.started for r in records)[:10],
        "by": by.strip(),
        "commit": f"`{records[0].git_commit}`",
        "tier": tier,
        "platform": _each(r.platform for r in records),
        "versions": _each(
            ", ".join([f"Python {r.python}", *(f"{name} {r.versions[name]}" for name in VERSIONS)])
            for r in records
        ),
        "jobs": _counted(pd.Series([r.status.kind for r in records]).value_counts()),
        "wall-hours": f"{sum(r.seconds for r in records) / 3600:.2f}",
        "core-hours": f"{sum(r.cpu_seconds or 0.0 for r in records) / 3600:.2f}",
        "claims": _counted(verdicts),
        "against the store": f"{found} alarms" if found else f"no alarm; {what_agrees(compared)}",
    }


def _each(texts: Any) -> str:
    """Every text that occurs, once."""
    return "; ".join(sorted(set(texts)))


def _counted(counts: pd.Series) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def with_line(page: str, line: dict[str, str], shown: Path) -> str:
    """The page with the line at the end of its table; unchanged where that run stands there already.

    Raises UserError where the page's table is not the one this command writes.
    """
    rows = page.rstrip("\n").split("\n")
    if HEADER not in rows or any(not row.startswith("|") for row in rows[rows.index(HEADER) :]):
        raise UserError(
            f"{shown}: its table is not at the end or has other columns than {', '.join(COLUMNS)}. "
            f"Take the file back as it was: git checkout {shown}"
        )
    if any(row.startswith(f"| {line['run']} |") for row in rows):
        return page
    return "\n".join([*rows, "| " + " | ".join(line[name] for name in COLUMNS) + " |"]) + "\n"


@exit_with_message
def main(
    tier: Annotated[str, typer.Option(help="quick, cpu or paper")],
    by: Annotated[str, typer.Option(help="who ran it, as the line shall say")],
) -> None:
    """Add the line of a finished run of one clean commit; a run that stands there already adds none."""
    suite = Suite.from_environment()
    suite.catalogue.tier(tier)
    line = line_of(suite, tier, by)
    if not PAGE.exists():
        raise UserError(f"{PAGE.name}: missing. Take the file back as it was: git checkout {PAGE.name}")
    before = PAGE.read_text()
    after = with_line(before, line, Path(PAGE.name))
    if after == before:
        print(f"run {line['run']} stands in {PAGE.name} already")
        return
    write_atomically(PAGE, after)
    print(f"added run {line['run']} to {PAGE.name}")
