"""Test every claim of the papers on a tier's cells: `python -m bench claims --tier quick`.

Writes `results/<tier>/claims.csv` (one row a comparison) and `claims.md` (one line a claim, then each
in full).
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import pandas as pd
import typer

from bench.analysis.claims import READING_FACTOR, Finding, claim_word, examine
from bench.analysis.readings import changed_since
from bench.analysis.tables import OLDER
from bench.catalogue.catalogue import Catalogue, paper_name
from bench.errors import UserError, exit_with_message
from bench.files import write_atomically
from bench.work.cells import Cell
from bench.work.claims import Claim, Comparison, load_claims
from bench.work.jobs import RESULTS
from bench.work.plan import all_jobs
from bench.work.suite import Suite

INTRODUCTION = f"""\
A claim is `supported` where the whole interval of each of its comparisons lies beyond the smallest effect
that counts, `contradicted` where the whole interval of one lies on the wrong side of it, else `inconclusive`;
`not-run` where no comparison has a number. Intervals of scores are 95 % t-intervals over pairs of seeds and
tasks; a ratio of two times is taken to be right within a factor of {READING_FACTOR:g}; counts are exact. What
a verdict rests on stands beside it: on part of the tasks, on `stand-in` data or with a `reduced` budget it
speaks of this run, and not of the paper's.
"""


def read_cells(tier: str) -> pd.DataFrame:
    """The tidy numbers of a tier; UserError, with the remedy, where there are none."""
    path = RESULTS / tier / "cells.csv"
    if not path.exists():
        raise UserError(
            f"{path}: missing, so there are no cells to test claims on. Make them with `snakemake claims "
            f"--config tier={tier}`; with `source=stored` behind it they are read from the committed store."
        )
    return pd.read_csv(path)


def older_cells(suite: Suite, tier: str) -> dict[tuple[str, Cell], list[str]]:
    """Stage and cell of every number of the store by older code -> what has changed since."""
    found: dict[tuple[str, Cell], list[str]] = {}
    for job in all_jobs(suite, tier):
        if changed := changed_since(job):
            found.setdefault((job.stage, job.cell), []).extend(changed)
    return found


def table_of(suite: Suite, claims: dict[str, Claim], cells: pd.DataFrame, tier: str) -> pd.DataFrame:
    """One row a comparison, with its claim's own verdict repeated."""
    catalogue, rows = suite.catalogue, list[dict[str, Any]]()
    older = older_cells(suite, tier)
    for name, claim in claims.items():
        findings = examine(catalogue, claim, cells, tier)
        word, why = claim_word(findings)
        rows += [
            {
                "claim": name,
                "claim_verdict": word,
                "claim_why": why,
                **_columns(catalogue, finding),
                "changed": ""
                if finding.word == "not-run"
                else _changed(catalogue, finding.comparison, older),
            }
            for finding in findings
        ]
    return pd.DataFrame(rows)


def _changed(catalogue: Catalogue, comparison: Comparison, older: dict[tuple[str, Cell], list[str]]) -> str:
    """What has changed since the numbers that a comparison reads were stored."""
    stage = catalogue.metrics[comparison.metric].stage
    cells = (cell for side in comparison.sides() for cell in side.cells(catalogue, comparison.tasks))
    return "; ".join(dict.fromkeys(name for cell in cells for name in older.get((stage, cell), ())))


def _columns(catalogue: Catalogue, finding: Finding) -> dict[str, Any]:
    comparison = finding.comparison
    return {
        "comparison": comparison.label, "metric": comparison.metric, "verdict": finding.word,
        "why": finding.why, "effect": finding.effect, "low": finding.low, "high": finding.high,
        "scale": "ratio" if comparison.is_ratio(catalogue) else "difference", "expect": comparison.expect,
        "smallest": comparison.smallest, "pairs": finding.pairs, "tasks_run": finding.tasks,
        "tasks": len(comparison.tasks), "probability_of_improvement": finding.probability_of_improvement,
        "data_source": finding.data_source, "budget": finding.budget, "reading": catalogue.reading.text,
    }  # fmt: skip


def page_of(catalogue: Catalogue, claims: dict[str, Claim], table: pd.DataFrame, heading: str) -> str:
    """The page: counts, one line a claim, then each claim with its comparisons."""
    verdicts = table.drop_duplicates("claim").set_index("claim")["claim_verdict"]
    counts = ", ".join(f"{count} {word}" for word, count in verdicts.value_counts().items())
    lines = [f"# Claims of the papers, {heading}\n", f"{counts}.\n", INTRODUCTION]
    for name, paper in catalogue.papers.items():
        own = {key: claim for key, claim in claims.items() if paper_name(key) == name}
        if own:
            lines += [f"## {paper.title}\n", "| claim | section | verdict | rests on |", "|---|---|---|---|"]
            lines += [_line(claim, table[table["claim"] == key]) for key, claim in own.items()]
            lines += [_section(key, claim, table[table["claim"] == key]) for key, claim in own.items()]
    return "\n".join(lines) + "\n"


def _line(claim: Claim, rows: pd.DataFrame) -> str:
    ran = rows[rows["verdict"] != "not-run"]
    done, wanted = rows["tasks_run"].sum(), rows["tasks"].sum()
    part = "" if ran.empty or done == wanted else f"{done} of {wanted} pairs of cells"
    sources = (*dict.fromkeys(ran["data_source"]), *dict.fromkeys(ran["budget"]))
    rests = ", ".join(filter(None, [part, *sources, "numbers by older code" if any(ran["changed"]) else ""]))
    return f"| {claim.title} | {claim.section} | {rows['claim_verdict'].iloc[0]} | {rests} |"


def _section(name: str, claim: Claim, rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    why = f": {first['claim_why']}" if first["claim_why"] else ""
    lines = [f"\n### {claim.title}\n", f"`{name}`, {claim.section}. {claim.says}\n"]
    lines += [f"**{first['claim_verdict']}**{why}.\n"]
    lines += ["| comparison | effect | counts from | pairs | tasks | verdict |", "|---|---|---|---|---|---|"]
    lines += [_comparison(row) for _, row in rows.iterrows()]
    changed = dict.fromkeys(name for said in rows["changed"] for name in said.split("; ") if name)
    lines += (
        [f"\n{OLDER} Rests on numbers stored before these changed: {', '.join(changed)}."] if changed else []
    )
    return "\n".join([*lines, f"\n{claim.note}" if claim.note else ""])


def _comparison(row: pd.Series) -> str:
    effect = "" if math.isnan(row["effect"]) else f"{row['effect']:.4g}{' times' * (row['scale'] == 'ratio')}"
    if not math.isnan(row["low"]) and row["low"] != row["high"]:
        effect += f" [{row['low']:.4g}, {row['high']:.4g}]"
    counts = f"within {row['smallest']:g}" if row["expect"] == "equal" else f"above {row['smallest']:g}"
    word = f"{row['verdict']}: {row['why']}" if row["why"] else row["verdict"]
    word += f" {OLDER}" if row["changed"] else ""
    tasks = f"{row['tasks_run']} of {row['tasks']}"
    return (
        f"| {row['comparison']} ({row['metric']}) | {effect} | {counts} | {row['pairs']} | {tasks} | {word} |"
    )


@exit_with_message
def main(tier: Annotated[str, typer.Option(help="quick, cpu or paper")]) -> None:
    """Write claims.csv and claims.md of the tier."""
    suite = Suite.from_environment()
    suite.catalogue.tier(tier)
    claims, cells = load_claims(suite), read_cells(tier)
    table = table_of(suite, claims, cells, tier)
    folder = RESULTS / tier
    heading = f"{tier} tier" + suite.source.said.replace(" from", ", from", 1) + suite.catalogue.reading_said
    write_atomically(folder / "claims.csv", table.to_csv(index=False, lineterminator="\n"))
    write_atomically(folder / "claims.md", page_of(suite.catalogue, claims, table, heading))
    verdicts = table.drop_duplicates("claim")["claim_verdict"].value_counts()
    print(", ".join(f"{count} {word}" for word, count in verdicts.items()) + f": {folder / 'claims.md'}")
