"""Tables of an artifact: a long form with one row a number, and wide forms to read."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from bench.analysis.collect import Reading
from bench.analysis.labels import axis_label
from bench.spec.cells import defaults, resolve
from bench.spec.load import load_catalogue
from bench.spec.models import TableLayout
from bench.spec.renderings import Rendering

COLUMNS = [
    "artifact", "row", "column", "task", "method", "settings", "metric", "unit", "reported",
    "reported_spread", "ours", "low", "high", "n", "status", "data_source", "budget", "seconds",
    "fingerprints",
]  # fmt: skip


def long_table(rendering: Rendering, readings: list[Reading], reported: pd.DataFrame) -> pd.DataFrame:
    """One row an entry, reported and ours side by side, and one more a column for its average."""
    layout = rendering.artifact.layout
    assert isinstance(layout, TableLayout)
    known = reported[reported["artifact"] == rendering.name]
    rows = [_row(rendering, layout, reading, known) for reading in readings]
    if layout.average:
        rows += _averages(rendering, layout, readings, rows, known)
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(
    rendering: Rendering, layout: TableLayout, reading: Reading, reported: pd.DataFrame
) -> dict[str, Any]:
    catalogue = load_catalogue()
    entry, cell = reading.entry, reading.entry.cell
    metric = catalogue.metrics.get(entry.metric)
    task = catalogue.tasks[cell.task]
    summary = reading.summary
    return {
        "artifact": rendering.name,
        "row": axis_label(entry, layout.rows), "column": axis_label(entry, layout.columns),
        "task": cell.task, "method": cell.method, "settings": cell.slug, "metric": entry.metric,
        "unit": metric.unit if metric else "",
        **_reported(reported, cell.task, cell.method, cell.slug, entry.metric),
        "ours": summary.mean if summary else reading.value,
        "low": summary.low if summary else math.nan, "high": summary.high if summary else math.nan,
        "n": summary.n if summary else 0, "status": reading.status,
        "data_source": (reading.data_source or task.data_source) if entry.stage not in ("", "probe") else "",
        "budget": catalogue.tier(rendering.tier).budget if entry.stage else "paper",
        "seconds": reading.seconds, "fingerprints": " ".join(reading.fingerprints),
    }  # fmt: skip


def _reported(reported: pd.DataFrame, task: str, method: str, settings: str, metric: str) -> dict[str, str]:
    """What the paper prints for a cell; empty where its value is not known."""
    rows = reported[
        (reported["task"] == task)
        & (reported["method"] == method)
        & (reported["settings"] == settings)
        & (reported["metric"] == metric)
    ]
    if rows.empty:
        return {"reported": "", "reported_spread": ""}
    spread, kind = rows["spread"].iloc[0], rows["spread_kind"].iloc[0]
    return {
        "reported": rows["value"].iloc[0],
        "reported_spread": f"{spread} ({_short(kind)})" if spread else "",
    }


def _short(kind: str) -> str:
    """What kind of spread the paper prints, in a few letters."""
    return "s.e., 10 seeds" if "standard error" in kind else "kind not stated"


def _averages(
    rendering: Rendering,
    layout: TableLayout,
    readings: list[Reading],
    rows: list[dict[str, Any]],
    reported: pd.DataFrame,
) -> list[dict[str, Any]]:
    """The mean over tasks of each column, where every task has a number; the reported one beside it."""
    averages = []
    for column in dict.fromkeys(row["column"] for row in rows):
        members = [
            (row, reading) for row, reading in zip(rows, readings, strict=True) if row["column"] == column
        ]
        values = [row["ours"] for row, reading in members if reading.summary is not None]
        first = members[0][0]
        complete = len(values) == len(members)
        lacking = f"not-run: {len(members) - len(values)} of {len(members)} tasks have no number"
        averages.append(first | {
            "row": layout.average, "task": "average",
            **_reported(reported, "average", first["method"], first["settings"], first["metric"]),
            "ours": sum(values) / len(values) if complete else None, "low": math.nan, "high": math.nan,
            "n": min((row["n"] for row, _ in members), default=0),
            "status": "ok" if complete else lacking,
            "seconds": 0.0, "fingerprints": "",
        })  # fmt: skip
    return averages


def _ours_text(row: pd.Series) -> str:
    """Our number with its interval and n, or the reason there is none."""
    if row["ours"] is None or (isinstance(row["ours"], float) and math.isnan(row["ours"])):
        return str(row["status"])
    if isinstance(row["ours"], str | bool | int) or not row["n"]:
        return str(row["ours"])
    metric = load_catalogue().metrics.get(row["metric"])
    decimals = metric.decimals if metric else 3
    lost = "" if row["status"] == "ok" else f" ({row['status'].removeprefix('ok, ')} ok)"
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:,.{decimals}f}, {row['high']:,.{decimals}f}]"
    return f"{row['ours']:,.{decimals}f}{interval} n={row['n']}{lost}"


def _reported_text(row: pd.Series) -> str:
    if not row["reported"]:
        return "unreported"
    return f"{row['reported']} ± {row['reported_spread']}" if row["reported_spread"] else str(row["reported"])


def wide_table(table: pd.DataFrame) -> pd.DataFrame:
    """Rows x (column, reported | ours), as text."""
    texts = table.assign(reported=table.apply(_reported_text, axis=1), ours=table.apply(_ours_text, axis=1))
    columns = [(column, side) for column in dict.fromkeys(table["column"]) for side in ("reported", "ours")]
    wide = pd.DataFrame(
        "", index=list(dict.fromkeys(table["row"])), columns=pd.MultiIndex.from_tuples(columns)
    )
    for _, row in texts.iterrows():
        wide.loc[row["row"], (row["column"], "reported")] = row["reported"]
        wide.loc[row["row"], (row["column"], "ours")] = row["ours"]
    return wide


def to_markdown(rendering: Rendering, table: pd.DataFrame, title: str) -> str:
    """A Markdown table with its heading, notes, and what the paper leaves unsaid."""
    wide = wide_table(table)
    flat = wide.set_axis([": ".join(column_and_side) for column_and_side in wide.columns], axis=1)
    unsaid = "\n".join(
        f"- {item.choice} (`{item.option}`): {' or '.join(item.alternatives)}; "
        f"here {_chosen(rendering, item.option)}; "
        f"{'measured' if item.measured else 'not measured'}. {item.note}".rstrip()
        for item in rendering.artifact.unsaid
    )
    note = f"\n{rendering.artifact.note.strip()}\n" if rendering.artifact.note else ""
    lines = title.splitlines()
    shown = f"# {lines[0]}\n\n{lines[-1]}\n\n{flat.to_markdown(disable_numparse=True)}\n{note}\n"
    return shown + (f"What the paper leaves unsaid:\n\n{unsaid}\n" if unsaid else "")


def _chosen(rendering: Rendering, option: str) -> str:
    """The values an option has in what this tier runs of the artifact; the defaults if it runs nothing."""
    values: dict[str, None] = {}
    for entry in rendering.entries:
        stage = entry.stage or "train"
        shown = resolve(rendering.tier, entry.cell, stage) if not entry.missing else None  # type: ignore[arg-type]
        options = shown.options if shown else defaults(entry.cell.task, entry.cell.method)
        if option in options and (shown or all(e.missing or not e.stage for e in rendering.entries)):
            values.setdefault(f"`{options[option]}`")
    return ", ".join(values) or "not run"


def to_latex(table: pd.DataFrame, title: str) -> str:
    """A booktabs table."""
    latex: str = wide_table(table).to_latex(
        escape=True,
        caption=title.replace("\n", "; ").replace("%", "\\%").replace("_", "\\_"),
        multicolumn_format="c",
    )
    return latex
