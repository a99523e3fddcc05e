"""The page of claims in Markdown: what each says, how it is decided and how often that errs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.analysis.error_rates import PLACES
from bench.analysis.intervals import FEWEST_UNITS
from bench.analysis.mutation_scores import UNDECIDED
from bench.analysis.tables import OLDER
from bench.catalogue.catalogue import Catalogue, paper_name
from bench.work.busy import BUSY
from bench.work.claim import Claim, Gate

# Characters in a line of the page.
WIDTH = 108


def introduction(catalogue: Catalogue) -> list[str]:
    """How a verdict is reached, in paragraphs; words between backticks are code."""
    memory = max(metric.tolerance for metric in catalogue.metrics.values())
    return [
        "A claim is `supported` if the 95 % interval of each of its comparisons lies beyond the smallest "
        "effect that counts. It is `contradicted` if the interval of one of them lies on the wrong side, an "
        "interval that holds for all of the claim's comparisons together. A claim with two forms of a choice "
        "that give opposite words `depends on` that choice. Otherwise it is `inconclusive`, and `not-run` if "
        "no comparison has a number.",
        "Scores are compared seed by seed, and all seeds of a cell share one dataset, one split of tasks and "
        "one set of histories: an interval speaks of new seeds, and not of new data. Where a sentence speaks "
        "of tasks in general, its units are tasks. An interval needs "
        f"{FEWEST_UNITS} units. Sizes are exact, and memory is trusted within a factor of {memory:g}. Times "
        "are ratios of two methods that were timed in turns in one process, by processor time, and their "
        "interval is that of the turns. If the machine was busy (wall time over processor time above "
        f"{BUSY:g}) they decide nothing.",
        "A verdict speaks of the part of the tasks, the data (`stand-in`: not the paper's) and the budget "
        "(`reduced`) that stand beside it. `claims_units.csv` has the value of every unit. Each interval "
        "follows from them: the mean of the effects (of their logarithms for ratios), its standard error and "
        "Student's t (docs/statistics.md).",
    ]


def page_of(catalogue: Catalogue, claims: Mapping[str, Claim], table: pd.DataFrame, heading: str) -> str:
    """The page: counts, one line a claim, each claim with its comparisons, and what no claim can test."""
    verdicts = table.drop_duplicates("claim").set_index("claim")["claim_verdict"]
    counts = ", ".join(f"{count} {word}" for word, count in verdicts.value_counts().items())
    lines = [f"# Claims of the papers, {heading}\n", f"{counts}.\n"]
    for paragraph in introduction(catalogue):
        lines += [*textwrap.wrap(paragraph, WIDTH), ""]
    for name, paper in catalogue.papers.items():
        own = {key: claim for key, claim in claims.items() if paper_name(key) == name}
        if own:
            lines += [f"## {paper.title}\n", "| claim | section | verdict | rests on |", "|---|---|---|---|"]
            lines += [_line(claim, table[table["claim"] == key]) for key, claim in own.items()]
            lines += [_section(catalogue, key, own[key], table[table["claim"] == key]) for key in own]
        if paper.untested:
            lines += [
                f"\n### What {paper.title} says and no claim tests\n",
                "| sentence | section | why |",
                "|---|---|---|",
            ]
            lines += [f"| {one.says} | {one.section} | {one.why} |" for one in paper.untested]
    return "\n".join(lines) + "\n"


def word_of(rows: pd.DataFrame) -> str:
    """A claim's word with its scope."""
    first = rows.iloc[0]
    scope = first["claim_scope"] if first["claim_verdict"] != "not-run" else ""
    return f"{first['claim_verdict']} {scope}".rstrip()


def rests_on(rows: pd.DataFrame) -> str:
    """Data and budget of a claim's numbers, and whether older code made some."""
    ran = rows[rows["verdict"] != "not-run"]
    sources = (*dict.fromkeys(ran["data_source"]), *dict.fromkeys(ran["budget"]))
    return ", ".join(filter(None, [*sources, "numbers by older code" if any(ran["changed"]) else ""]))


def _line(claim: Claim, rows: pd.DataFrame) -> str:
    return f"| {claim.title} | {claim.section} | {word_of(rows)} | {rests_on(rows)} |"


def _section(catalogue: Catalogue, name: str, claim: Claim, rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    why = f": {first['claim_why']}" if first["claim_why"] else ""
    lines = [f"\n### {claim.title}\n", f"`{name}`, {claim.section}. {claim.says}\n"]
    lines += [f"**{word_of(rows)}**{why}.\n"]
    lines += [
        "| comparison | effect | 95 % interval | interval for all | counts from | n | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_comparison(row) for _, row in rows.iterrows()]
    lines += ["", *(f"- {said}" for said in decided_by(catalogue, claim, rows))]
    return "\n".join([*lines, f"\n{claim.note}" if claim.note else ""])


def decided_by(catalogue: Catalogue, claim: Claim, rows: pd.DataFrame) -> list[str]:
    """How a claim is decided, one line for each part of it that there is."""
    said = [f"Tasks: {'; '.join(dict.fromkeys(population_of(catalogue, claim)))}."]
    said += [f"Threshold: {claim.reason}"] if claim.reason else []
    gates = dict.fromkeys(gate_said(gate) for one in claim.comparisons for gate in one.gates)
    said += [f"A task decides if {' and '.join(gates)}."] if gates else []
    left = dict.fromkeys(text for text in rows["left_out"] if text)
    said += [f"Left out: {'; '.join(left)}."] if left else []
    said += [f"Turns on: {claim.turns_on}."] if claim.turns_on else []
    said += [f"Tuning: {claim.tuning}"] if claim.tuning else []
    said += [specifications_said(rows)] if rows["specifications"].iloc[0] else []
    said += [rates_said(rows.iloc[0]), score_said(rows["mutation_score"].iloc[0])]
    said += [f"Decided in this way since {one.date} (`{one.digest}`): {one.why}" for one in claim.registered]
    changed = dict.fromkeys(name for text in rows["changed"] for name in text.split("; ") if name)
    said += [f"{OLDER} Numbers stored before these changed: {', '.join(changed)}."] if changed else []
    return said


def population_of(catalogue: Catalogue, claim: Claim) -> list[str]:
    """The tasks of each comparison, by their titles, and how they are taken together."""
    found = []
    for one in claim.comparisons:
        titles = [catalogue.tasks[task].title for task in one.tasks]
        how = {"seeds": "these and no others", "tasks": "as a sample of their kind"}[one.over]
        how = "a verdict for each" if one.each else how
        found.append(f"{', '.join(titles)}" + (f" ({how})" if len(titles) > 1 else ""))
    return found


def gate_said(gate: Gate) -> str:
    """What a gate asks, with its number."""
    return f"{gate.says} ({gate.metric} above {gate.above:g})"


def specifications_said(rows: pd.DataFrame) -> str:
    """In how many readings it is supported, and each reading's word."""
    each = rows["specifications"].iloc[0].split("; ")
    supported = sum(one.endswith(": supported") for one in each)
    return f"Asked again under other readings: supported in {supported} of {len(each)} ({'; '.join(each)})."


def rates_said(first: pd.Series) -> str:
    """The error rates of a claim's rule, in a line."""
    if math.isnan(first.get("false_support", math.nan)):
        return "Error rates: none; its numbers are exact, or too few for an interval."
    support, contradiction = (
        ", ".join(f"{100 * first[f'{word}_{place}']:.1f}" for place in PLACES)
        for word in ("support", "contradiction")
    )
    return (
        f"Error rates at this spread: false support {100 * first['false_support']:.1f} %, false "
        f"contradiction {100 * first['false_contradiction']:.1f} %. With a true effect far from what counts, "
        f"halfway to it, on its edge and well within it: supported in {support} %, contradicted in "
        f"{contradiction} %."
    )


def score_said(score: str) -> str:
    """The mutation score of a claim, or why it has none, in a line."""
    if not score:
        return "Mutation score: none. No fault has been tried on it."
    if score == UNDECIDED:
        return (
            "Mutation score: none. At the budgets with which faults are planted it has no word that a fault "
            "could change."
        )
    changed, tried = score.split(" of ")
    return (
        f"Mutation score: {changed} of the {tried} faults planted in the code of its numbers change its "
        "word, at the budgets of these trials (docs/mutations.md)."
    )


def _comparison(row: pd.Series) -> str:
    unit = " times" * (row["scale"] == "ratio")
    effect = "" if math.isnan(row["effect"]) else f"{row['effect']:.4g}{unit}"
    label = ", ".join(filter(None, [row["comparison"], row["task"], row["condition"]]))
    word = f"{row['verdict']}: {row['why']}" if row["why"] else row["verdict"]
    word += f" {OLDER}" if row["changed"] else ""
    count = "" if not row["unit"] else counted(row)
    counts = f"within {row['smallest']:g}" if row["expect"] == "equal" else f"above {row['smallest']:g}"
    return (
        f"| {label} ({row['metric']}) | {effect} | {_interval(row, 'low', 'high')} | "
        f"{_interval(row, 'far_low', 'far_high')} | {counts} | {count} | {word} |"
    )


def counted(row: Mapping[Any, Any] | pd.Series) -> str:
    """How many units a finding rests on, and of how many tasks."""
    number, unit = int(row["units"]), row["unit"]
    units = "exact" if unit == "count" else f"{number} {unit}{'s' * (number != 1)}"
    ran, wanted = int(row["tasks_run"]), int(row["tasks"])
    return units if wanted == 1 else f"{units}, {ran} of {wanted} tasks"


def _interval(row: pd.Series, low: str, high: str) -> str:
    if math.isnan(row[low]) or row[low] == row[high]:
        return ""
    return f"{row[low]:.4g} to {row[high]:.4g}"
