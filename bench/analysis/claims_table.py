"""Claims as tables: one row a finding, and one row a unit, from which each verdict can be redone by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analysis.claims import Answer, Finding, examine
from bench.analysis.error_rates import PLACES, Rates, rates_of
from bench.analysis.mutation_scores import read_trials, scores_said
from bench.analysis.readings import changed_since
from bench.catalogue.catalogue import Catalogue
from bench.work.cells import Cell
from bench.work.claim import Claim, Comparison
from bench.work.claims import is_ratio
from bench.work.plan import all_jobs
from bench.work.suite import Suite

# Stage and cell of every number of the store by older code -> what has changed since.
Older = Mapping[tuple[str, Cell], list[str]]


# Columns of claims.csv that hold numbers; the others hold text, empty where there is none.
NUMBERS = (
    "effect", "low", "high", "far_low", "far_high", "smallest", "units", "tasks_run", "tasks", "error",
    "degrees", "tolerance", "together", "wall_over_processor", "false_support", "false_contradiction",
    *(f"{word}_{place}" for word in ("support", "contradiction") for place in PLACES),
)  # fmt: skip


def read_table(path: Path) -> pd.DataFrame:
    """The findings as `bench claims` wrote them."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    numbers = {name: pd.to_numeric(table[name]) for name in NUMBERS if name in table}
    return table.assign(**numbers)


def older_cells(suite: Suite, tier: str) -> dict[tuple[str, Cell], list[str]]:
    """What has changed since each number of the store was made."""
    found: dict[tuple[str, Cell], list[str]] = {}
    for job in all_jobs(suite, tier):
        if changed := changed_since(job):
            found.setdefault((job.stage, job.cell), []).extend(changed)
    return found


def tables_of(
    suite: Suite, claims: Mapping[str, Claim], cells: pd.DataFrame, tier: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row a finding, with its claim's verdict and error rates repeated; and one row a unit."""
    catalogue, older, heard = suite.catalogue, older_cells(suite, tier), scores_said(read_trials())
    findings, units = list[dict[str, Any]](), list[dict[str, Any]]()
    for name, claim in claims.items():
        answer = examine(catalogue, claim, cells, tier)
        whole = {
            "claim": name,
            "claim_verdict": answer.word,
            "claim_scope": answer.scope,
            "claim_why": answer.why,
            "specifications": specifications_of(catalogue, claim, cells, tier),
            "mutation_score": heard.get(name, ""),
            **_rates(rates_of(catalogue, name, answer.findings)),
        }
        for finding in answer.findings:
            findings.append(
                whole | _columns(catalogue, finding) | {"changed": _changed(catalogue, finding, older)}
            )
            units += [{"claim": name, **row} for row in _units(catalogue, finding)]
    return pd.DataFrame(findings), pd.DataFrame(units)


def specifications_of(catalogue: Catalogue, claim: Claim, cells: pd.DataFrame, tier: str) -> str:
    """`name: word` of the claim under each of its specifications, joined by semicolons."""
    answers: dict[str, Answer] = {
        name: examine(catalogue, claim, cells, tier, more) for name, more in claim.specifications.items()
    }
    return "; ".join(f"{name}: {answer.word}" for name, answer in answers.items())


def _rates(rates: Rates | None) -> dict[str, float]:
    if rates is None:
        return {}
    return {
        "false_support": rates.false_support,
        "false_contradiction": rates.false_contradiction,
        **{f"support_{place}": rates.support[place] for place in PLACES},
        **{f"contradiction_{place}": rates.contradiction[place] for place in PLACES},
    }


def _columns(catalogue: Catalogue, finding: Finding) -> dict[str, Any]:
    question, comparison = finding.question, finding.comparison
    read, estimate = question.read, finding.estimate
    rests_on_data = not catalogue.metrics[comparison.metric].is_cost

    def each(column: str) -> str:
        return " and ".join(sorted({str(value) for value in read[column]})) if column in read else ""

    return {
        "comparison": comparison.label, "condition": comparison.condition,
        "task": question.task,
        "metric": comparison.metric, "verdict": finding.word, "why": finding.why,
        "effect": finding.effect, "low": finding.low, "high": finding.high,
        "far_low": finding.far_low, "far_high": finding.far_high, "together": finding.together,
        "error": float(estimate.error) if estimate else math.nan,
        "degrees": float(estimate.degrees) if estimate else math.nan,
        "tolerance": estimate.tolerance if estimate else math.nan, "scale": _scale(catalogue, comparison),
        "expect": comparison.expect, "smallest": comparison.smallest, "over": comparison.over,
        "unit": question.unit, "units": question.units, "tasks_run": len(question.tasks),
        "tasks": 1 if question.task else len(comparison.tasks), "tasks_named": ", ".join(question.tasks),
        "left_out": question.why_left_out,
        "wall_over_processor": question.busy, "data_source": each("data_source") if rests_on_data else "",
        "budget": each("budget"), "reading": catalogue.reading.text,
    }  # fmt: skip


def _scale(catalogue: Catalogue, comparison: Comparison) -> str:
    if comparison.along:
        return "exponent"
    return "ratio" if is_ratio(catalogue, comparison) else "difference"


def _units(catalogue: Catalogue, finding: Finding) -> Iterator[dict[str, Any]]:
    scale = _scale(catalogue, finding.comparison)
    for group in finding.question.groups:
        for (kind, number), (first, second), effect in zip(
            group.units, group.values.T, group.effects, strict=True
        ):
            yield {
                "comparison": finding.comparison.label, "condition": finding.comparison.condition,
                "metric": finding.comparison.metric, "task": group.task, "unit": kind, "number": number,
                "first": first, "second": second, "effect": math.exp(effect) if scale == "ratio" else effect,
                "scale": scale,
            }  # fmt: skip


def _changed(catalogue: Catalogue, finding: Finding, older: Older) -> str:
    """What has changed since the numbers that a finding reads were stored."""
    if finding.word == "not-run":
        return ""
    comparison, names = finding.comparison, dict[str, None]()
    at = [comparison.tasks.index(task) for task in (*finding.question.tasks, *finding.question.left_out)]
    sides = [(side, side.metric or comparison.metric) for side in comparison.sides()]
    for side, metric in [*sides, *comparison.gate_sides()]:
        stage = catalogue.metrics[metric].stage
        for step in comparison.steps():
            cells = side.cells(catalogue, comparison.tasks, step)
            for number in at:
                names |= dict.fromkeys(older.get((stage, cells[number]), ()))
    return "; ".join(names)
