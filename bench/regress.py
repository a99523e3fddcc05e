"""Compare a run with the committed store: `python -m bench.regress --tier quick`.

What is deterministic (parameters, MACs) must be equal. Scores must be equal where processor and
system are those of the store, since the same code and seed then give the same bytes; elsewhere
they must lie within the protocol's margin. Both directions count: a gain is a difference too.
"""

from __future__ import annotations

from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from bench.analysis.collect import job_rows
from bench.record import platform_name
from bench.spec.errors import UserError, exit_with_message
from bench.spec.load import ROOT, load_catalogue
from bench.spec.regression import regressed_jobs

KEY = ["task", "method", "settings", "seed", "step", "metric", "index"]


def comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows a comparison can be made of: deterministic counts and scores; no times, no memory."""
    metrics = load_catalogue().metrics
    keep = [
        m in metrics and (metrics[m].deterministic or metrics[m].stage == "evaluate") for m in rows["metric"]
    ]
    return rows[keep].assign(value=pd.to_numeric(rows["value"]))


def _text(value: Any) -> str:
    """A key as text: a number reads the same from a column of integers and from one of floats."""
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def differences(
    ours: pd.DataFrame, stored: pd.DataFrame, same_platform: bool
) -> list[tuple[str, str, str, str]]:
    """(cell and metric, stored, ours, what is wrong) of every row that differs, is missing or is new."""
    catalogue = load_catalogue()
    texts = [
        frame.assign(**{name: frame[name].map(_text) for name in KEY}).set_index(KEY)["value"]
        for frame in (ours, stored)
    ]
    both = pd.concat(texts, axis=1, keys=["ours", "stored"]).sort_index()
    found = []
    for row in both.reset_index().to_dict("records"):
        task, method, settings, seed, step, metric, index = (str(row[name]) for name in KEY)
        name = f"{task}/{method}/{settings} seed {seed}: {metric} (step {step}, index {index})"
        if pd.isna(row["ours"]) or pd.isna(row["stored"]):
            found.append(
                (
                    name,
                    f"{row['stored']}",
                    f"{row['ours']}",
                    "missing" if pd.isna(row["ours"]) else "not in the store",
                )
            )
            continue
        exact = catalogue.metrics[metric].deterministic or same_platform
        margin = 0.0 if exact else catalogue.protocols[catalogue.tasks[task].protocol].margin
        if abs(row["ours"] - row["stored"]) > margin:
            rule = "must be equal" if exact else f"may differ by {margin:g} on another platform"
            found.append((name, f"{row['stored']:.17g}", f"{row['ours']:.17g}", rule))
    return found


def compare(tier: str) -> tuple[int, list[tuple[str, str, str, str]]]:
    """(rows compared, differences) of the regressed jobs against the store; UserError if there is none."""
    path = ROOT / "results" / "stored" / tier / "cells.csv"
    if not path.exists():
        raise UserError(
            f"results/stored/{tier}/cells.csv: missing, so there is nothing to compare with. "
            f"Finish a run, then: python -m bench.store --tier {tier}"
        )
    stored = pd.read_csv(path)
    jobs = regressed_jobs(tier)
    named = {(job.cell.task, job.cell.method, job.cell.slug, job.seed, job.stage) for job in jobs}
    metrics = load_catalogue().metrics
    stages = [metrics[m].stage if m in metrics else "" for m in stored["metric"].fillna("")]
    identity = zip(stored["task"], stored["method"], stored["settings"], stored["seed"], stages, strict=True)
    stored = stored[[row in named for row in identity]]
    same = set(stored["platform"]) == {platform_name()}
    ours = pd.concat([job_rows(job) for job in jobs], ignore_index=True)
    wanted = comparable(stored)
    return len(wanted), differences(comparable(ours), wanted, same)


@exit_with_message
def main(tier: Annotated[str, typer.Option(help="quick, cpu or paper")]) -> None:
    """Print every difference; exit with 1 if there is one."""
    load_catalogue().tier(tier)
    count, found = compare(tier)
    if not found:
        print(f"regress: {count} numbers of the {tier} tier equal the store")
        return
    table = Table(title=f"regress: {len(found)} of {count} numbers of the {tier} tier differ from the store")
    for column in ("number", "stored", "ours", "rule"):
        table.add_column(column, overflow="fold")
    for row in found:
        table.add_row(*row)
    Console(width=140).print(table)
    raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
