"""The numbers of an artifact as a report shows them: text, and what unfolds beneath it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.analysis.agreement import RESULT, SETTING
from bench.analysis.labels import method_label, metric_label, reason
from bench.analysis.readings import Reading, read_entry
from bench.analysis.report.runs import Records, Run
from bench.analysis.tables import each_seed, over_seeds, printed_columns, reported_text
from bench.analysis.verdicts import points_of, printed_for, verdict_of
from bench.catalogue.catalogue import Catalogue
from bench.catalogue.models import SELECTIONS
from bench.errors import UserError
from bench.work.busy import BUSY
from bench.work.cells import selection_of
from bench.work.entries import Entry
from bench.work.renderings import Rendering


@dataclass(frozen=True)
class Number:
    """One number of an artifact: what is printed, what is ours, and what is behind it. All is text.

    `ours` is empty where there is none: `status` then says why. `kind` is `result`, `setting`, `over tasks`.
    Too few seeds for an interval stand one by one in `ours`; `seeds` says how many there are, as `n=3`.
    """

    kind: str
    method: str
    task: str
    method_title: str
    task_title: str
    metric_title: str
    reported: str
    ours: str
    interval: str
    seeds: str
    status: str
    verdict: str
    why: str
    difference: str
    difference_interval: str
    seeds_needed: str
    seconds: str
    data_source: str
    budget: str
    selections: tuple[tuple[str, str], ...] = ()
    selection: str = ""
    scores: tuple[tuple[int, str], ...] = ()
    runs: tuple[Run, ...] = ()
    metric: str = ""
    # What has changed since, for a number of the store by older code.
    changed: str = ""
    # Wall over processor time, for a time that was taken on a busy machine.
    busy: str = ""


def numbers_of(rendering: Rendering, reported: pd.DataFrame, records: Records) -> list[Number]:
    """Every number of an artifact, in the order of its file; UserError where that file does not fit it."""
    own = reported[reported["artifact"] == rendering.name]
    rows = _read_table(rendering) if rendering.kind == "table" else _figure_rows(rendering, own)
    entries = rendering.entries
    for entry, row in zip(entries, rows, strict=False):
        if (entry.cell.task, entry.cell.method, entry.metric) != (row["task"], row["method"], row["metric"]):
            raise _out_of_date(rendering, f"it has {row['metric']} of {row['task']} out of place")
    if len(rows) < len(entries):
        raise _out_of_date(rendering, f"it has {len(rows)} numbers of {len(entries)}")
    numbers = [_number(entry, row, records) for entry, row in zip(entries, rows, strict=False)]
    named = {row["column"]: number for row, number in zip(rows, numbers, strict=False)}
    return numbers + [
        _over_tasks(rendering.suite.catalogue, row, named[row["column"]]) for row in rows[len(entries) :]
    ]


def _out_of_date(rendering: Rendering, problem: str) -> UserError:
    return UserError(
        f"{rendering.outputs[0]}: {problem}: made by another version of its specification. Make it again: "
        f"snakemake {rendering.name} --config tier={rendering.tier}"
    )


def _read_table(rendering: Rendering) -> list[dict[str, str]]:
    """The rows of a table's long form, all of them text."""
    path = rendering.outputs[0]
    if not path.exists():
        raise UserError(
            f"{path}: missing, so there is nothing to report. Make it: snakemake tables figures "
            f"--config tier={rendering.tier}"
        )
    return pd.read_csv(rendering.checked(path), dtype=str, keep_default_na=False).to_dict("records")  # type: ignore[return-value]


def _figure_rows(rendering: Rendering, reported: pd.DataFrame) -> list[dict[str, str]]:
    """What a table's long form holds, for each entry of a figure: a figure's own file has points of lines."""
    budget = rendering.suite.catalogue.tier(rendering.tier).budget
    rows = []
    for entry in rendering.entries:
        reading, cell = read_entry(entry, rendering.tier), entry.cell
        verdict = verdict_of(reading, rendering.tier, reported)
        found = {
            **(reading.summary.as_row() if reading.summary else {}), **reading.selections,
            "difference": verdict.difference, "difference_low": verdict.low, "difference_high": verdict.high,
        }  # fmt: skip
        texts = {key: "" if math.isnan(value) else repr(value) for key, value in found.items()}
        rows.append({
            "low": "", "high": "", "n": "0", **dict.fromkeys(SELECTIONS, ""), **texts,
            "each_seed": each_seed(reading), "task": cell.task, "method": cell.method, "metric": entry.metric,
            "column": "", "ours": texts.get("mean", ""), **_printed_of(reading, rendering.tier, reported),
            "status": reading.status, "verdict": verdict.word, "why": verdict.why,
            "seeds_needed": str(verdict.seeds_needed or ""), "seconds": str(reading.seconds),
            "data_source": reading.data_source if entry.rests_on_data else "", "budget": budget,
            "changed": "; ".join(reading.changed),
        })  # fmt: skip
    return rows


def _printed_of(reading: Reading, tier: str, reported: pd.DataFrame) -> dict[str, str]:
    """What the paper prints for an entry of a figure; of a curve, how many points it draws and the last."""
    points = points_of(reading, tier, reported)
    if not points:
        return printed_columns(printed_for(reading.entry, reported))
    last = points[-1]
    columns = printed_columns(last.printed)
    return columns | {"reported": f"{len(points)} points, at {last.index:g} {last.printed.value}"}


def _number(entry: Entry, row: dict[str, str], records: Records) -> Number:
    catalogue = entry.suite.catalogue
    task = catalogue.tasks[entry.cell.task]
    known = entry.metric in catalogue.metrics
    return Number(
        kind=RESULT if entry.stage else SETTING,
        method_title=method_label(entry),
        task_title=task.title,
        metric_title=metric_label(catalogue, entry.metric) if known else entry.metric.replace("_", " "),
        **_texts(catalogue, row),
        selections=_selections(catalogue, row) if entry.stage else (),
        selection=selection_of(catalogue, entry.cell),
        scores=tuple(
            (seed, _decimals(catalogue, score, entry.metric)) for seed, score in records.scores(entry).items()
        ),
        runs=records.runs_of(entry),
        metric=entry.metric,
        busy=f"{load:.2f}" if (load := records.load(entry)) > BUSY else "",
    )


def _selections(catalogue: Catalogue, row: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """What each selection of checkpoints gives; nothing where all give the same, as with one checkpoint."""
    given = {name: _decimals(catalogue, row[name], row["metric"]) for name in SELECTIONS if row[name]}
    return tuple(given.items()) if len(set(given.values())) > 1 else ()


def _over_tasks(catalogue: Catalogue, row: dict[str, str], member: Number) -> Number:
    """A number made of a column's others: named after its row."""
    return Number(
        kind="over tasks",
        method_title=member.method_title,
        task_title=row["row"],
        metric_title=member.metric_title,
        **_texts(catalogue, row),
    )


def _texts(catalogue: Catalogue, row: dict[str, str]) -> dict[str, Any]:
    """What all kinds of numbers have in common."""
    metric = row["metric"]
    known = catalogue.metrics.get(metric)
    number, interval, seeds = row["ours"], "", ""
    if row["n"] != "0" and number:
        number, interval, seeds = over_seeds(row, known.decimals if known else 3)
    return {
        "method": row["method"], "task": row["task"],
        "reported": reported_text(row), "ours": number, "interval": interval, "seeds": seeds,
        "status": reason(row["status"]), "verdict": row["verdict"], "why": row["why"],
        "difference": _decimals(catalogue, row["difference"], metric, "+"),
        "difference_interval": _interval(
            catalogue, row["difference_low"], row["difference_high"], metric, "+"
        ),
        "seeds_needed": row["seeds_needed"].removesuffix(".0"),
        "seconds": f"{float(row['seconds']):,.1f}" if float(row["seconds"] or 0) else "",
        "data_source": row["data_source"], "budget": row["budget"], "changed": row["changed"],
    }  # fmt: skip


def _decimals(catalogue: Catalogue, value: str | float, metric: str, sign: str = "") -> str:
    """A number with its metric's decimals; empty for none."""
    if value == "":
        return ""
    known = catalogue.metrics.get(metric)
    return f"{float(value):{sign},.{known.decimals if known else 3}f}"


def _interval(catalogue: Catalogue, low: str, high: str, metric: str, sign: str = "") -> str:
    return (
        f"[{_decimals(catalogue, low, metric, sign)}, {_decimals(catalogue, high, metric, sign)}]"
        if low and high
        else ""
    )
