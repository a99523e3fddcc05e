"""Reads the records of cells; nothing here, or anywhere in `bench.analysis`, imports torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.statistics import Summary, summarise
from bench.catalogue.load import load_catalogue
from bench.catalogue.models import SELECTIONS, Selection
from bench.errors import UserError
from bench.files import shown
from bench.work.cells import defaults, resolve
from bench.work.fingerprint import changes
from bench.work.jobs import RESULTS, Entry, Job
from bench.work.stored import STORED, from_store

ROW_COLUMNS = ("metric", "step", "index", "value")
RECORD_COLUMNS = [
    "task", "method", "settings", "seed", "step", "metric", "index", "value", "unit", "protocol",
    "data_source", "budget", "status", "fingerprint", "seconds", "peak_memory_mib", "device", "scan_backend",
    "platform", "git_commit",
]  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """One entry of an artifact as it stands: a number of ours, or why there is none."""

    entry: Entry
    status: str
    summary: Summary | None = None
    curve: pd.DataFrame = field(default_factory=pd.DataFrame)
    # Of each seed, as summarised.
    scores: tuple[float, ...] = ()
    # What each selection of checkpoints would have printed, the protocol's own included.
    selections: dict[str, float] = field(default_factory=dict)
    value: Any = None
    seconds: float = 0.0
    fingerprints: tuple[str, ...] = ()
    data_source: str = ""
    # What has changed since, for a number of the store.
    changed: tuple[str, ...] = ()
    # What lies beside the table of the first seed that has it: attention maps.
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


def read_record(path: Path) -> dict[str, Any]:
    """A sidecar; one that is absent or damaged reads as a status."""
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {"status": "not-run: no record yet"}
    except json.JSONDecodeError:
        return {"status": "failed: its record is damaged; delete it and run again"}
    return record


def record_of(job: Job) -> dict[str, Any]:
    """The sidecar of a job, its own or the store's; one that is absent or damaged reads as a status."""
    if job.is_stored and job.stored:
        return job.stored
    if from_store():
        return {"status": "not-run: not in the store"}
    return read_record(job.record)


@cache
def stored_cells(tier: str) -> dict[str, pd.DataFrame]:
    """Fingerprint -> the rows of a job in a tier's store; none without a store.

    Raises UserError, naming the file, where it is no table or lacks a column.
    """
    path = STORED / tier / "cells.csv"
    if not path.exists():
        return {}
    remedy = f"Restore the file: git checkout -- {shown(path)}"
    try:
        cells = pd.read_csv(path, float_precision="round_trip", low_memory=False, keep_default_na=False,
                            na_values={"value": [""]})  # fmt: skip
    except ValueError as error:
        raise UserError(f"{shown(path)}: not a table ({error}). {remedy}") from None
    lacking = set(RECORD_COLUMNS) - set(cells.columns)
    if lacking:
        raise UserError(f"{shown(path)}: column {min(lacking)} is missing. {remedy}")
    return {str(name): rows for name, rows in cells.groupby("fingerprint", sort=False)}


def recorded_rows(job: Job, record: dict[str, Any]) -> pd.DataFrame:
    """The metrics, steps, indices and values of a job whose sidecar this is; empty where it has none."""
    if record["status"] != "ok":
        return pd.DataFrame()
    if job.is_stored:
        rows = stored_cells(job.tier).get(record["fingerprint"], pd.DataFrame(columns=RECORD_COLUMNS))
        return rows[list(ROW_COLUMNS)].dropna(subset="value").reset_index(drop=True)
    return pd.read_csv(job.table, float_precision="round_trip") if job.table.exists() else pd.DataFrame()


def arrays_of(job: Job) -> Path:
    """The file of what is too large for a job's table, its own or the store's."""
    return stored_arrays(job) if job.is_stored else job.arrays


def stored_arrays(job: Job) -> Path:
    """Where the store keeps what is too large for a job's table."""
    return STORED / job.tier / "arrays" / job.arrays.relative_to(RESULTS / job.tier)


def changed_since(job: Job) -> list[str]:
    """What has changed since a result of the store was made, by name: it is shown, with a mark.

    Empty for one that the code, options and data at hand would make again, and for a result of the run.
    """
    if not job.is_stored or job.stored is None:
        return []
    found = dict.fromkeys(changes(job.stored["parts"], job.parts))
    for before, used in zip(job.upstream, job.stored["parts"]["upstream"], strict=False):
        if used == before.fingerprint:
            continue
        if before.stored and used == before.stored["fingerprint"]:
            found |= dict.fromkeys(changed_since(before))
        else:
            # A part of a run can be promoted alone: what this was made from is then no longer in the store.
            found[f"its {before.row.noun}"] = None
    return list(found)


def job_rows(job: Job) -> pd.DataFrame:
    """The tidy numbers of a job with what identifies them; one row with no value where it has none."""
    catalogue = load_catalogue()
    record = record_of(job)
    rows = recorded_rows(job, record)
    if rows.empty:
        rows = pd.DataFrame([{"metric": "", "step": 0, "index": 0.0, "value": float("nan")}])
    task = catalogue.tasks[job.cell.task]
    facts = {
        "task": job.cell.task, "method": job.cell.method, "settings": job.cell.slug, "seed": job.seed,
        "protocol": task.protocol, "budget": catalogue.tier(job.tier).budget,
        # What the numbers rest on is what was used when they were made.
        "data_source": record.get("data_source", task.data_source),
        "status": record["status"], "fingerprint": record.get("fingerprint", ""),
        "seconds": record.get("seconds", 0.0), "peak_memory_mib": record.get("peak_memory_mib", 0.0),
        "device": record.get("facts", {}).get("device", ""),
        "scan_backend": record.get("facts", {}).get("scan_backend", ""),
        "platform": record.get("platform", ""), "git_commit": record.get("git_commit", ""),
    }  # fmt: skip
    rows["unit"] = [catalogue.metrics[m].unit if m in catalogue.metrics else "" for m in rows["metric"]]
    return rows.assign(**facts)[RECORD_COLUMNS]


def selected(rows: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """One row a seed and index: the checkpoint the protocol selects.

    `last` takes the last checkpoint, `best` the one with the highest mean over its indices,
    `mean-of-last-3` averages over the last three.
    """
    if selection == "mean-of-last-3":
        latest = sorted(rows["step"].unique())[-3:]
        return rows[rows["step"].isin(latest)].groupby(["seed", "index"], as_index=False)[["value"]].mean()
    chosen = []
    for _, one in rows.groupby("seed"):
        by_step = one.groupby("step")["value"].mean()
        step = by_step.index.max() if selection == "last" else by_step.idxmax()
        chosen.append(one[one["step"] == step])
    return pd.concat(chosen, ignore_index=True)[["seed", "index", "value"]]


def read_entry(entry: Entry, tier: str) -> Reading:
    """What the records say of one entry of an artifact."""
    if not entry.metric or (not entry.stage and not entry.missing):
        return Reading(entry, "ok", value=_option_value(entry))
    if entry.missing:
        return Reading(entry, f"not-run: {entry.missing}")
    if entry.parts:
        return _derived(entry, tier)
    jobs = entry.jobs(tier)
    records = [record_of(job) for job in jobs]
    statuses = [record["status"] for record in records]
    if "ok" not in statuses:
        return Reading(entry, statuses[0], seconds=sum(record.get("seconds", 0.0) for record in records))
    frames = [job_rows(job) for job in jobs]
    rows = pd.concat(frames, ignore_index=True)
    rows = rows[rows["metric"] == entry.metric].dropna(subset="value")
    seconds = float(sum(frame["seconds"].iloc[0] for frame in frames))
    if rows.empty:
        bad = [status for status in statuses if status != "ok"]
        return Reading(entry, bad[0] if bad else f"not-run: no {entry.metric} in the record", seconds=seconds)
    catalogue = load_catalogue()
    protocol = catalogue.protocols[catalogue.tasks[entry.cell.task].protocol]
    by_selection = {name: selected(rows, name) for name in SELECTIONS}
    chosen = by_selection[protocol.selection]
    scores = tuple(chosen.groupby("seed")["value"].mean())
    failed = sum(status != "ok" for status in statuses)
    arrays: dict[str, NDArray[Any]] = {}
    if entry.metric == "hidden_attention":
        first = jobs[statuses.index("ok")]
        path = arrays_of(first)
        if not path.exists():
            return Reading(entry, f"failed: {path} is missing; delete the records beside it and run again")
        arrays = {**np.load(path), "seed": np.array(first.seed)}
    curve = pd.DataFrame(
        [{"index": index, **summarise(group["value"]).as_row()} for index, group in chosen.groupby("index")]
    )
    return Reading(
        entry,
        f"ok, {failed} of {len(jobs)} seeds not" if failed else "ok",
        summary=summarise(scores),
        scores=scores,
        curve=curve,
        selections={
            name: float(rows.groupby("seed")["value"].mean().mean()) for name, rows in by_selection.items()
        },
        seconds=seconds,
        fingerprints=tuple(sorted({frame["fingerprint"].iloc[0] for frame in frames})),
        data_source=" and ".join(sorted({frame["data_source"].iloc[0] for frame in frames})),
        changed=tuple(dict.fromkeys(name for job in jobs for name in changed_since(job))),
        arrays=arrays,
    )


def _derived(entry: Entry, tier: str) -> Reading:
    """A metric over the baseline's: the ratio of the means; no interval, since the seeds are not paired."""
    own, baseline = (read_entry(part, tier) for part in entry.parts)
    for part in (own, baseline):
        if part.summary is None:
            return Reading(entry, part.status)
    assert own.summary is not None
    assert baseline.summary is not None
    ratio = own.summary.mean / baseline.summary.mean
    return Reading(
        entry,
        "ok",
        summary=summarise(pd.Series([ratio])),
        seconds=own.seconds + baseline.seconds,
        fingerprints=(*own.fingerprints, *baseline.fingerprints),
        changed=tuple(dict.fromkeys((*own.changed, *baseline.changed))),
        data_source=own.data_source,
    )


def _option_value(entry: Entry) -> Any:
    """A hyper-parameter as the paper tier has it."""
    resolved = resolve("paper", entry.cell, "train")
    options = resolved.options if resolved else defaults(entry.cell.task, entry.cell.method)
    return options[entry.metric]
