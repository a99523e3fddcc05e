"""Tables of an artifact: a long form with one row a number, and wide forms to read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.aggregate import interquartile_mean, stratified_bootstrap
from bench.analysis.agreement import RESULT, SETTING
from bench.analysis.labels import axis_label
from bench.analysis.notes import SILENT, UNREPORTED, with_notes, without_silent
from bench.analysis.readings import Reading
from bench.analysis.reported import IN_AN_ARTIFACT, Printed, find_printed, marked
from bench.analysis.statistics import FEWEST_SEEDS, Summary, average
from bench.analysis.verdicts import Verdict, data_source_of, judge, margin_of, printed_for, verdict_of
from bench.catalogue.artifacts import TableLayout
from bench.catalogue.catalogue import Catalogue
from bench.catalogue.models import SELECTIONS
from bench.seeds import stream
from bench.work.cells import resolve, values_of
from bench.work.renderings import Rendering, varied_in

COLUMNS = [
    "artifact", "row", "column", "task", "method", "settings", "reading", "metric", "kind", "unit",
    "reported", "reported_spread", "reported_as", "ours", "low", "high", "n", "each_seed", "status",
    "verdict", "why", "difference", "difference_low", "difference_high", "seeds_needed", "data_source",
    "budget", "seconds", *SELECTIONS, "fingerprints", "changed",
]  # fmt: skip
# Beside a number of the store that the code at hand would not make again.
OLDER = "†"
# What a row over tasks has in common with the rows it is over.
SHARED = ("artifact", "column", "method", "settings", "reading", "metric", "kind", "unit", "budget")

# The columns of one row, by name.
Columns = dict[str, Any]


def long_table(rendering: Rendering, readings: list[Reading], reported: pd.DataFrame) -> pd.DataFrame:
    """One row an entry, reported, ours and the verdict side by side, and more for what is over tasks."""
    layout = rendering.artifact.layout
    assert isinstance(layout, TableLayout)
    rows = [_row(rendering, layout, reading, reported) for reading in readings]
    if layout.average:
        columns: dict[str, list[tuple[Columns, Reading]]] = {}
        for row, reading in zip(rows, readings, strict=True):
            columns.setdefault(row["column"], []).append((row, reading))
        rows += [_average_row(layout, members, reported) for members in columns.values()]
        rows += [row for members in columns.values() for row in _interquartile_rows(members)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(rendering: Rendering, layout: TableLayout, reading: Reading, reported: pd.DataFrame) -> Columns:
    catalogue = rendering.suite.catalogue
    entry, cell = reading.entry, reading.entry.cell
    metric = catalogue.metrics.get(entry.metric)
    return {
        "artifact": rendering.name,
        "row": axis_label(entry, layout.rows), "column": axis_label(entry, layout.columns),
        "task": cell.task, "method": cell.method, "settings": cell.slug, "reading": entry.reading,
        "metric": entry.metric, "kind": RESULT if entry.stage else SETTING,
        "unit": metric.unit if metric else "",
        **printed_columns(printed_for(entry, reported)),
        "ours": reading.value,
        "n": 0, **(_summary_columns(reading.summary) if reading.summary else {}),
        "each_seed": each_seed(reading), "status": reading.status,
        **_verdict_columns(verdict_of(reading, rendering.tier, reported)),
        "data_source": data_source_of(reading),
        "budget": catalogue.tier(rendering.tier).budget if entry.stage else "paper",
        "seconds": reading.seconds, **reading.selections, "fingerprints": " ".join(reading.fingerprints),
        "changed": "; ".join(reading.changed),
    }  # fmt: skip


def each_seed(reading: Reading) -> str:
    """Each seed's own number, one after the other; empty for what is not summarised over seeds."""
    return " ".join(repr(float(score)) for score in reading.scores)


def printed_columns(printed: Printed | None) -> dict[str, str]:
    """What the paper prints, as columns; empty where that is not known."""
    return {
        "reported": printed.value if printed else "",
        "reported_spread": printed.spread_text if printed else "",
        "reported_as": printed.confidence if printed else "",
    }


def _summary_columns(summary: Summary) -> Columns:
    return {"ours": summary.mean, "low": summary.low, "high": summary.high, "n": summary.n}


def _verdict_columns(verdict: Verdict) -> Columns:
    return {
        "verdict": verdict.word, "why": verdict.why, "difference": verdict.difference,
        "difference_low": verdict.low, "difference_high": verdict.high,
        "seeds_needed": verdict.seeds_needed or None,
    }  # fmt: skip


def _average_row(
    layout: TableLayout, members: list[tuple[Columns, Reading]], reported: pd.DataFrame
) -> Columns:
    """The mean over tasks of a column, where every task has a number; the reported one beside it."""
    first = members[0][0]
    summaries = [reading.summary for _, reading in members if reading.summary]
    ours = average(summaries) if len(summaries) == len(members) else None
    lacking = f"not-run: {len(members) - len(summaries)} of {len(members)} tasks have no number"
    status = "ok" if ours else lacking
    asked = members[0][1].entry.asked.slug
    where = (first["artifact"], "average", first["method"], asked, first["metric"])
    printed = find_printed(reported, *where)
    margin = margin_of(members[0][1].entry.suite.catalogue, first["task"], first["metric"])
    shared = _shared(members)
    verdict = judge(ours, None, status, printed, margin, shared["data_source"], shared["budget"])
    return {
        **shared,
        "row": layout.average, "task": "average", **printed_columns(printed),
        "ours": None, "n": min(row["n"] for row, _ in members), **(_summary_columns(ours) if ours else {}),
        "status": status, **_verdict_columns(verdict), "seconds": 0.0, "fingerprints": "",
        "changed": _changed(members),
    }  # fmt: skip


def _interquartile_rows(members: list[tuple[Columns, Reading]]) -> list[Columns]:
    """The interquartile mean of a column's tasks and seeds; none unless each task has the same number."""
    first, runs = members[0][0], {len(reading.scores) for _, reading in members}
    if len(members) < 2 or len(runs) > 1 or not members[0][1].scores:
        return []
    scores = np.array([reading.scores for _, reading in members])
    found = stratified_bootstrap(interquartile_mean, stream("bootstrap", first["artifact"]), scores)
    return [{
        **_shared(members),
        "row": "Interquartile mean", "task": "interquartile-mean", **printed_columns(None),
        "ours": found.value, "low": found.low, "high": found.high, "n": scores.size, "status": "ok",
        **_verdict_columns(Verdict("unreported", "no paper prints it")), "seconds": 0.0, "fingerprints": "",
        "changed": _changed(members),
    }]  # fmt: skip


def _shared(members: list[tuple[Columns, Reading]]) -> Columns:
    """What a row over tasks has from its column, and every source of data that it rests on."""
    sources = {source for row, _ in members for source in row["data_source"].split(" and ")}
    return {key: members[0][0][key] for key in SHARED} | {"data_source": " and ".join(sorted(sources))}


def _changed(members: list[tuple[Columns, Reading]]) -> str:
    """What has changed since any of some rows was made."""
    return "; ".join(dict.fromkeys(name for _, reading in members for name in reading.changed))


def _ours_text(row: pd.Series, catalogue: Catalogue) -> str:
    """Our number with its interval and n, or the reason there is none."""
    if row["ours"] is None or (isinstance(row["ours"], float) and math.isnan(row["ours"])):
        return str(row["status"])
    if isinstance(row["ours"], str | bool | int) or not row["n"]:
        return f"{row['ours']}{_verdict_text(row)}"
    metric = catalogue.metrics.get(row["metric"])
    shown = " ".join(filter(None, over_seeds(row, metric.decimals if metric else 3)))
    return shown + _verdict_text(row) + (f" {OLDER}" if row["changed"] else "")


def over_seeds(row: Mapping[Any, Any] | pd.Series, decimals: int) -> tuple[str, str, str]:
    """A number of ours as text, its interval, and its seeds: `74.0`, `[64.1, 83.9]`, `n=3`.

    Too few for an interval, but more than one, stand one by one: `25.5, 28.1`, nothing, `(2 seeds)`. Where
    seeds are missing the last says so, as in `(2 of 3 seeds)`.
    """
    each = str(row["each_seed"]).split()
    few = 1 < len(each) < FEWEST_SEEDS
    number = ", ".join(f"{float(value):,.{decimals}f}" for value in (each if few else [row["ours"]]))
    low, high = (float(row[end] if row[end] != "" else math.nan) for end in ("low", "high"))
    interval = "" if math.isnan(low) else f"[{low:,.{decimals}f}, {high:,.{decimals}f}]"
    if row["status"] != "ok":
        return number, interval, f"({row['status'].removeprefix('ok, ')})"
    return number, interval, f"({len(each)} seeds)" if few else f"n={row['n']}"


def _verdict_text(row: pd.Series) -> str:
    """The verdict after our number; the column beside it says `unreported` already."""
    if row["verdict"] == "unreported":
        return ""
    needed = row["seeds_needed"]
    return f", {row['verdict']}" + (f" (n = {needed:.0f} needed)" if pd.notna(needed) else "")


def reported_text(row: Mapping[Any, Any] | pd.Series) -> str:
    """The printed number of a row, its spread, and how it was read where that was not in the paper."""
    spread = f" ± {row['reported_spread']}" if row["reported_spread"] else ""
    return marked(f"{row['reported']}{spread}", row["reported_as"])


def _reported_text(row: pd.Series) -> str:
    if not row["reported"]:
        return UNREPORTED
    return reported_text(row)


def wide_table(catalogue: Catalogue, table: pd.DataFrame) -> pd.DataFrame:
    """Rows x (column, reported | ours), as text."""
    ours = table.apply(_ours_text, axis=1, catalogue=catalogue)
    texts = table.assign(reported=table.apply(_reported_text, axis=1), ours=ours)
    columns = [(column, side) for column in dict.fromkeys(table["column"]) for side in ("reported", "ours")]
    wide = pd.DataFrame(
        "", index=list(dict.fromkeys(table["row"])), columns=pd.MultiIndex.from_tuples(columns)
    )
    for _, row in texts.iterrows():
        wide.loc[row["row"], (row["column"], "reported")] = row["reported"]
        wide.loc[row["row"], (row["column"], "ours")] = row["ours"]
    return wide


def to_markdown(rendering: Rendering, table: pd.DataFrame, title: str) -> str:
    """A Markdown table with its heading, notes, and what the paper leaves open."""
    wide = wide_table(rendering.suite.catalogue, table)
    wide, silent = without_silent(wide)
    wide, notes = with_notes(wide, _written, brackets=False)
    flat = wide.set_axis([": ".join(column_and_side) for column_and_side in wide.columns], axis=1)
    choices = "\n".join(
        f"- {item.choice} (`{item.option}`): {' or '.join(item.alternatives)}; "
        f"here {_chosen(rendering, item.option)}; {_varied(rendering, item.option)}. {item.note}".rstrip()
        for item in rendering.artifact.open_choices
    )
    note = f"\n{rendering.artifact.note.strip()}\n" if rendering.artifact.note else ""
    reasons = "".join(f"\n<sup>{mark}</sup> {said}.\n" for said, mark in notes.items())
    reasons += f"\n{SILENT}\n" if silent else ""
    said = f"{_verdict_counts(table)}\n{_how_read(table)}{_older(table)}{_other_selections(table)}"
    note = f"{reasons}\n{said}{note}"
    lines = title.splitlines()
    shown = f"# {lines[0]}\n\n{lines[-1]}\n\n{flat.to_markdown(disable_numparse=True)}\n{note}\n"
    return shown + (f"What the paper leaves open:\n\n{choices}\n" if choices else "")


def _written(text: str, mark: str) -> str:
    """A cell with the mark of its note, a dash standing for no text."""
    return (text or "–") + (f" <sup>{mark}</sup>" if mark else "")


def _verdict_counts(table: pd.DataFrame) -> str:
    """How often each verdict fell, in a line: results, and apart from them settings."""
    judged = table[table["task"] != "interquartile-mean"]
    said = []
    for kind, name in ((RESULT, "Results"), (SETTING, "Settings")):
        counts = judged.loc[judged["kind"] == kind, "verdict"].value_counts(sort=False)
        said += [f"{name}: {', '.join(f'{count} {word}' for word, count in counts.items())}."] * bool(
            len(counts)
        )
    return " ".join(said)


def _how_read(table: pd.DataFrame) -> str:
    """A footnote on printed numbers that were not read in the paper itself."""
    words = [word for word in IN_AN_ARTIFACT if word != "printed" and word in set(table["reported_as"])]
    return "".join(f"\nReported ({word}): {IN_AN_ARTIFACT[word]}.\n" for word in words)


def _older(table: pd.DataFrame) -> str:
    """A footnote on numbers of the store that other code made, with all that has changed since."""
    names = dict.fromkeys(name for said in table["changed"].dropna() for name in said.split("; ") if name)
    return f"\n{OLDER} Stored before these changed: {', '.join(names)}.\n" if names else ""


def _other_selections(table: pd.DataFrame) -> str:
    """A footnote on what other checkpoints of the same runs give; empty where they give the same."""
    scores = table.dropna(subset=list(SELECTIONS))
    said = []
    for name in SELECTIONS:
        changes = scores[name] - scores["ours"].astype(float)
        if (changes.abs() > 1e-9).any():
            said.append(
                f"{name} {changes.mean():+.2f} on average, {changes[changes.abs().idxmax()]:+.2f} at most"
            )
    return (
        f"\nRead at other checkpoints of the same runs (all in the CSV): {'; '.join(said)}.\n" if said else ""
    )


def _varied(rendering: Rendering, option: str) -> str:
    """Where this tier measures whether a choice matters."""
    names = ", ".join(f"`{name}`" for name in varied_in(option, rendering))
    return f"varied in {names}" if names else "not varied in this tier"


def _chosen(rendering: Rendering, option: str) -> str:
    """The values an option has in what this tier runs of the artifact; the defaults if it runs nothing."""
    values: dict[str, None] = {}
    catalogue = rendering.suite.catalogue
    for entry in rendering.entries:
        stage = entry.stage or "train"
        shown = resolve(catalogue, rendering.tier, entry.cell, stage) if not entry.missing else None
        options = shown.options if shown else values_of(catalogue, entry.cell)
        if option in options and (shown or all(e.missing or not e.stage for e in rendering.entries)):
            values.setdefault(f"`{options[option]}`")
    return ", ".join(values) or "not run"
