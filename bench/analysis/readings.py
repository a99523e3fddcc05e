"""Reads the records of cells; nothing here, or anywhere in `bench.analysis`, imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.statistics import Summary, summarise
from bench.catalogue.models import SELECTIONS, Selection
from bench.work.busy import wall_over_processor
from bench.work.cells import resolve, selection_of, values_of
from bench.work.entries import Entry
from bench.work.fingerprint import changes
from bench.work.jobs import Job
from bench.work.plan import jobs_of
from bench.work.record import OK, Facts, Record, Status
from bench.work.stored import CELL_COLUMNS, LOAD, TRAINED


@dataclass(frozen=True)
class Reading:
    """One entry of an artifact as it stands: a number of ours, or why there is none."""

    entry: Entry
    status: str
    summary: Summary | None = None
    curve: pd.DataFrame = field(default_factory=pd.DataFrame)
    # Of each seed, as summarised.
    scores: tuple[float, ...] = ()
    # What each selection of checkpoints would have printed, that of the entry included.
    selections: dict[str, float] = field(default_factory=dict)
    value: Any = None
    seconds: float = 0.0
    fingerprints: tuple[str, ...] = ()
    data_source: str = ""
    # What has changed since, for a number of the store.
    changed: tuple[str, ...] = ()
    # What lies beside the table of the first seed that has it: attention maps.
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


def changed_since(job: Job) -> list[str]:
    """What has changed since a result of the store was made, by name: it is shown, with a mark.

    Empty for one that the code, options and data at hand would make again, and for a result of the run.
    """
    taken = job.suite.source.taken(job)
    if taken is None:
        return []
    found = dict.fromkeys(changes(taken.parts, job.parts))
    for before, used in zip(job.upstream, taken.parts["upstream"], strict=False):
        if used == before.fingerprint:
            continue
        if before.stored and used == before.stored.fingerprint:
            found |= dict.fromkeys(changed_since(before))
        else:
            # A part of a run can be promoted alone: what this was made from is then no longer in the store.
            found[f"its {before.row.noun}"] = None
    return list(found)


def job_rows(job: Job) -> pd.DataFrame:
    """The tidy numbers of a job with what identifies them; one row with no value where it has none."""
    catalogue, record = job.suite.catalogue, job.result
    rows = job.suite.source.rows(job)
    if rows.empty:
        rows = pd.DataFrame([{"metric": "", "step": 0, "index": 0.0, "value": float("nan")}])
    task = catalogue.tasks[job.cell.task]
    facts: Facts = {
        "task": job.cell.task, "method": job.cell.method, "settings": job.cell.slug, "seed": job.seed,
        "protocol": task.protocol, "budget": catalogue.tier(job.tier).budget,
        # What the numbers rest on is what was used when they were made.
        "data_source": record.data_source or task.data_source,
        "status": str(record.status), "fingerprint": record.fingerprint,
        "seconds": record.seconds, "peak_memory_mib": record.peak_memory_mib,
        "device": record.device, "scan_backend": record.scan_backend,
        "platform": record.platform, "git_commit": record.git_commit,
        LOAD: _rounded(wall_over_processor(record)), TRAINED: _trained(record),
    }  # fmt: skip
    rows["unit"] = [catalogue.metrics[m].unit if m in catalogue.metrics else "" for m in rows["metric"]]
    return rows.assign(**facts)[CELL_COLUMNS]


def _rounded(ratio: float | None) -> float:
    return float("nan") if ratio is None else round(ratio, 3)


def _trained(record: Record) -> float:
    """Seconds of a training's updates up to its last checkpoint; not a number where the record has none."""
    spent = record.facts.get("training_seconds", {})
    return float(spent[max(spent, key=int)]) if spent else float("nan")


def selected(rows: pd.DataFrame, selection: Selection, least: bool = False) -> pd.DataFrame:
    """One row a seed and index, at the checkpoint that is asked for.

    `last` takes the last checkpoint, `best` the one with the highest mean over its indices, or the `least`
    where lower is better, `mean-of-last-3` averages over the last three.
    """
    if selection == "mean-of-last-3":
        latest = sorted(rows["step"].unique())[-3:]
        return rows[rows["step"].isin(latest)].groupby(["seed", "index"], as_index=False)[["value"]].mean()
    means = rows.groupby(["seed", "step"])["value"].mean()
    if selection == "last":
        chosen = dict(means.index.tolist())
    else:
        by_seed = means.groupby(level="seed")
        chosen = dict((by_seed.idxmin() if least else by_seed.idxmax()).tolist())
    at = rows[rows["step"].to_numpy() == rows["seed"].map(chosen).to_numpy()]
    return at.sort_values("seed", kind="stable", ignore_index=True)[["seed", "index", "value"]]


def read_at(entry: Entry, rows: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """The rows of an entry's metric, at the checkpoint that a selection asks for."""
    return selected(rows, selection, entry.suite.catalogue.metrics[entry.metric].better == "lower")


def read_entry(entry: Entry, tier: str) -> Reading:
    """What the records say of one entry of an artifact."""
    if not entry.metric or (not entry.stage and not entry.missing):
        return Reading(entry, "ok", value=_option_value(entry))
    if entry.missing:
        return Reading(entry, f"not-run: {entry.missing}")
    if entry.parts:
        return _derived(entry, tier)
    jobs = jobs_of(entry, tier)
    records = [job.result for job in jobs]
    statuses = [record.status for record in records]
    if OK not in statuses:
        return Reading(entry, str(statuses[0]), seconds=sum(record.seconds for record in records))
    frames = [job_rows(job) for job in jobs]
    rows = pd.concat(frames, ignore_index=True)
    rows = rows[rows["metric"] == entry.metric].dropna(subset="value")
    seconds = float(sum(frame["seconds"].iloc[0] for frame in frames))
    if rows.empty:
        nothing = Status("not-run", f"no {entry.metric} in the record")
        why = next((status for status in statuses if not status.is_ok), nothing)
        return Reading(entry, str(why), seconds=seconds)
    by_selection = {name: read_at(entry, rows, name) for name in SELECTIONS}
    chosen = by_selection[selection_of(entry.suite.catalogue, entry.cell)]
    scores = tuple(chosen.groupby("seed")["value"].mean())
    failed = sum(not status.is_ok for status in statuses)
    arrays: dict[str, NDArray[Any]] = {}
    if entry.metric == "hidden_attention":
        first = jobs[statuses.index(OK)]
        arrays = {**np.load(first.suite.source.arrays(first)), "seed": np.array(first.seed)}
    curve = pd.DataFrame(
        [{"index": index, **summarise(group["value"]).as_row()} for index, group in chosen.groupby("index")]
    )
    return Reading(
        entry,
        f"ok, {len(jobs) - failed} of {len(jobs)} seeds" if failed else "ok",
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
    """A metric against the baseline's, by their means; no interval, since the seeds are not paired."""
    own, baseline = (read_entry(part, tier) for part in entry.parts)
    for part in (own, baseline):
        if part.summary is None:
            return Reading(entry, part.status)
    assert own.summary is not None
    assert baseline.summary is not None
    derived = entry.suite.catalogue.metrics[entry.metric].derived
    assert derived is not None
    found = derived.of(own.summary.mean, baseline.summary.mean)
    return Reading(
        entry,
        "ok",
        summary=summarise(pd.Series([found])),
        seconds=own.seconds + baseline.seconds,
        fingerprints=(*own.fingerprints, *baseline.fingerprints),
        changed=tuple(dict.fromkeys((*own.changed, *baseline.changed))),
        data_source=own.data_source,
    )


def _option_value(entry: Entry) -> Any:
    """A hyper-parameter as the paper tier has it."""
    resolved = resolve(entry.suite.catalogue, "paper", entry.cell, "train")
    options = resolved.options if resolved else values_of(entry.suite.catalogue, entry.cell)
    return options[entry.metric]
