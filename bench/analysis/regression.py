"""A run against the committed store, two-sided: what differs, what is missing, what is new.

What both sides made alike (processor and system or the portable profile, device, backend of the scan,
versions of the packages) must be equal, number by number; counts must be on any machine. Scores that were
made otherwise, or by another seed, are compared by `expected_range`, one comparison a cell: the rows of one
evaluation depend strongly on each other, so many of them would tell no more than one. What has neither
(training curves of another processor, say) is not compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from bench.analysis.expected_range import FALSE_ALARMS, Foretold, foretell
from bench.analysis.readings import selected
from bench.catalogue.catalogue import Catalogue
from bench.catalogue.stages import STAGES
from bench.work.busy import was_busy
from bench.work.record import Record, Status

ROW = ["metric", "step", "index"]
MEANS = ("platform", "device", "scan backend")


class Key(NamedTuple):
    """One job, by names that stay readable where the job itself is no longer declared."""

    stage: str
    task: str
    method: str
    settings: str
    seed: int

    @property
    def cell(self) -> str:
        """The cell's id, as `Cell.key` writes it."""
        return f"{self.task}/{self.method}/{self.settings}"


class Score(NamedTuple):
    """The score of one stage of a cell, over its seeds."""

    stage: str
    task: str
    method: str
    settings: str
    metric: str


@dataclass(frozen=True)
class Held:
    """What a run or the store holds of one job: its sidecar and its rows (metric, step, index, value)."""

    record: Record
    rows: pd.DataFrame

    @property
    def made(self) -> tuple[str, ...]:
        """Where and by what it was made, as `MEANS` lists."""
        return self.record.arithmetic, self.record.device, self.record.scan_backend


Side = dict[Key, Held]


@dataclass(frozen=True)
class Finding:
    """One alarm: a number, or several of one metric, that the run and the store do not agree on."""

    keys: tuple[Key, ...]
    number: str
    stored: str
    ours: str
    why: str

    @property
    def name(self) -> str:
        """The cell with its seeds and stage."""
        seeds = ", ".join(str(key.seed) for key in self.keys)
        return f"{self.keys[0].cell} seed{'s' * (len(self.keys) > 1)} {seeds}, {self.keys[0].stage}"


@dataclass
class Comparison:
    """Every alarm, and what was compared in which way."""

    findings: list[Finding] = field(default_factory=list)
    exact: int = 0
    intervals: int = 0
    margins: int = 0
    uncompared: int = 0
    # Jobs that were not run, since the tier takes them from the store.
    taken: int = 0
    # Jobs whose times, which are not compared, were taken on a busy machine: by the run, or as stored.
    busy: dict[str, list[Key]] = field(default_factory=dict)


def comparable(catalogue: Catalogue, stage: str, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that code and seed determine: no times, no memory."""
    if not STAGES[stage].costs:
        return rows
    metrics = catalogue.metrics
    return rows[[name in metrics and metrics[name].deterministic for name in rows["metric"]]]


def compare(
    catalogue: Catalogue, run: Side, store: Side, scope: set[Key], alike: Callable[[Key], bool]
) -> Comparison:
    """Compare the jobs in scope; `alike` says whether both sides made a job in the same way.

    A job whose seed the store lacks, but not its cell, is a new run of that cell. `run` and `store` may hold
    more than the scope: the store's other cells tell how far seeds lie apart.
    """
    result, others = Comparison(), []
    cells = {key[:4] for key in store}
    for key in sorted(scope):
        ours, stored = run.get(key), store.get(key)
        if ours is None or ours.rows.empty:
            if stored is not None:
                result.findings += _lone(
                    catalogue, key, stored.rows, "missing", f"missing from the run ({_why_none(ours)})"
                )
        elif stored is not None:
            equal = STAGES[key.stage].costs or alike(key)
            result.findings += _row_by_row(catalogue, key, ours.rows, stored.rows, equal)
            result.exact += len(comparable(catalogue, key.stage, stored.rows)) * equal
            others += [] if equal else [key]
        elif key[:4] in cells:
            others.append(key)
        else:
            result.findings += _lone(catalogue, key, ours.rows, "extra", "not in the store")
    _by_interval(catalogue, others, run, store, result)
    for name, side in (("the run", run), ("the store", store)):
        result.busy[name] = [
            key for key in sorted(scope)
            if STAGES[key.stage].costs and key in side and was_busy(side[key].record)
        ]  # fmt: skip
    return result


def _why_none(ours: Held | None) -> str:
    """Why the run has no number of a job."""
    status = ours.record.status if ours else Status("not-run", "the tier has no such job")
    return "its table is missing or empty" if status.is_ok else str(status)


def _lone(catalogue: Catalogue, key: Key, rows: pd.DataFrame, kind: str, why: str) -> list[Finding]:
    """A finding for each metric that only one side has."""
    found = []
    for metric, group in comparable(catalogue, key.stage, rows).groupby("metric", sort=False):
        text = f"{group['value'].iloc[0]:.6g}" if len(group) == 1 else f"{len(group)} rows"
        stored, ours = (text, "") if kind == "missing" else ("", text)
        found.append(Finding((key,), str(metric), stored, ours, why))
    return found


def _row_by_row(
    catalogue: Catalogue, key: Key, ours: pd.DataFrame, stored: pd.DataFrame, equal: bool
) -> list[Finding]:
    """A finding for each metric with a row that is missing or new or, where they must be `equal`, differs."""
    sides = [comparable(catalogue, key.stage, rows).set_index(ROW)["value"] for rows in (ours, stored)]
    both = pd.concat(sides, axis=1, keys=["ours", "stored"])
    in_run, in_store = (both.index.isin(side.index) for side in sides)
    undefined = both["ours"].isna() & both["stored"].isna()
    differs = in_run & in_store & (both["ours"] != both["stored"]) & ~undefined & equal
    found = []
    for kind, chosen in (("missing", ~in_run), ("extra", ~in_store), ("differs", differs)):
        for metric, group in both[chosen].groupby(level="metric", sort=False):
            total = len(both.xs(metric, level="metric"))
            found.append(_finding(key, str(metric), kind, group, total))
    return found


def _finding(key: Key, metric: str, kind: str, rows: pd.DataFrame, total: int) -> Finding:
    """A metric's rows as one finding that shows the first of them."""
    _, step, index = rows.index[0]
    stored, ours = _short(rows["stored"].iloc[0], rows["ours"].iloc[0])
    count = f"{len(rows)} of {total} rows"
    why = {
        "differs": f"{count} must be equal",
        "missing": f"{count} missing from the run",
        "extra": f"{count} not in the store",
    }
    return Finding((key,), f"{metric} (step {step:g}, index {index:g})", stored, ours, why[kind])


def _short(stored: float, ours: float) -> tuple[str, str]:
    """Both with as few digits as tell them apart; nothing for what is not there."""
    for digits in range(6, 18):
        texts = [f"{value:.{digits}g}" for value in (stored, ours)]
        if texts[0] != texts[1]:
            break
    return ("", texts[1]) if pd.isna(stored) else (texts[0], "" if pd.isna(ours) else texts[1])


def scores(catalogue: Catalogue, side: Side) -> dict[Score, dict[int, float]]:
    """Every score, by seed, at the checkpoint that the protocol selects."""
    found: dict[Score, dict[int, float]] = {}
    for key, held in side.items():
        metric = STAGES[key.stage].score
        if not metric or key.task not in catalogue.tasks:
            continue
        # A record is of all cells that differ in how it is read; here it is read as is usual.
        protocol = catalogue.protocols[catalogue.tasks[key.task].protocol]
        metric = protocol.score if metric == "protocol" else metric
        rows = held.rows[held.rows["metric"] == metric].assign(seed=key.seed).dropna(subset="value")
        if len(rows):
            score = Score(key.stage, key.task, key.method, key.settings, metric)
            value = float(selected(rows, protocol.selection)["value"].mean())
            found.setdefault(score, {})[key.seed] = value
    return found


def _by_interval(catalogue: Catalogue, keys: list[Key], run: Side, store: Side, result: Comparison) -> None:
    """Compare the scores of jobs that were made otherwise, cell by cell."""
    stored, ours = scores(catalogue, store), scores(catalogue, {key: run[key] for key in keys})
    compared = [score for score in ours if score in stored]
    intervals = foretell(
        {score: list(seeds.values()) for score, seeds in stored.items()},
        {score: len(ours[score]) for score in compared},
        lambda score: (score.stage, score.task, score.metric),
    )
    result.intervals, result.margins = len(intervals), len(compared) - len(intervals)
    seen = {(*score[:4], score.metric) for score in compared}
    result.uncompared = sum(
        (*key[:4], metric) not in seen for key in keys for metric in run[key].rows["metric"]
    )
    for score in compared:
        finding = _judge(catalogue, score, ours[score], stored[score], intervals.get(score))
        result.findings += [finding] if finding else []


def _judge(
    catalogue: Catalogue,
    score: Score,
    ours: dict[int, float],
    stored: dict[int, float],
    foretold: Foretold | None,
) -> Finding | None:
    """The alarm on one cell's score, or None where it lies as foretold, or else within the margin."""
    before, now = (sum(seeds.values()) / len(seeds) for seeds in (stored, ours))
    if foretold:
        low, high = foretold.mean - foretold.half, foretold.mean + foretold.half
        rule = f"outside [{low:.4g}, {high:.4g}], as an unchanged run is in {FALSE_ALARMS:.0%} of cases"
    else:
        margin = catalogue.protocols[catalogue.tasks[score.task].protocol].margin
        foretold = Foretold(before, margin)
        rule = f"more than the protocol's margin of {margin:g} away, and no spread between seeds is known"
    if foretold.holds(now):
        return None
    keys = tuple(Key(score.stage, score.task, score.method, score.settings, seed) for seed in sorted(ours))
    kind = "gain" if now > before else "loss"
    return Finding(
        keys, score.metric, f"{before:.6g} (n={len(stored)})", f"{now:.6g} (n={len(ours)})",
        f"improbable {kind}: {rule}",
    )  # fmt: skip
