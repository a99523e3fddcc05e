"""Ratios: those printed beside their numbers, those the text names, and those of another project."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from bench.analysis.audit.finding import Finding, Verdict, bounds, grouped, sources
from bench.analysis.reported import REFERENCE
from bench.catalogue.catalogue import Catalogue

# Environments a paper's text names together -> how their tasks' names begin.
GROUPS = {
    "D4RL": ("halfcheetah-", "hopper-", "walker2d-"),
    "Large Grid World": ("large-",),
    "Grid World": ("dark", "large-"),
}


def _ratio(catalogue: Catalogue, reported: pd.DataFrame, row: pd.Series) -> tuple[float, float, float] | None:
    """(least, middle, greatest) ratio that the numbers behind a derived one allow; None if not printed."""
    derived = catalogue.metrics[row["metric"]].derived
    assert derived is not None
    same = reported[
        (reported["artifact"] == row["artifact"])
        & (reported["task"] == row["task"])
        & (reported["metric"] == derived.metric)
    ].drop_duplicates("method").set_index("method")["value"]  # fmt: skip
    if not {row["method"], derived.baseline} <= set(same.index):
        return None
    (low, high), (least, greatest) = bounds(same[row["method"]]), bounds(same[derived.baseline])
    return low / greatest, float(same[row["method"]]) / float(same[derived.baseline]), high / least


def _derived(catalogue: Catalogue, reported: pd.DataFrame) -> pd.DataFrame:
    metrics = catalogue.metrics
    return reported[[m in metrics and metrics[m].derived is not None for m in reported["metric"]]]


def ratios(catalogue: Catalogue, reported: pd.DataFrame) -> Iterator[Finding]:
    """A printed ratio is that of the numbers printed beside it, rounded."""
    rows = _derived(catalogue, reported)
    for _, row in rows[rows["task"] != ""].iterrows():
        ratio, place = _ratio(catalogue, reported, row), f"{row['artifact']}, {row['printed_environment']}"
        if ratio is None:
            found = "the numbers behind it are not known"
            yield Finding("ratios", place, row["value"], found, "open", row["source"])
            continue
        low, high = bounds(row["value"])
        verdict: Verdict = "agrees" if low <= ratio[2] and ratio[0] <= high else "conflicts"
        found = f"{ratio[1]:.2f} from the printed numbers"
        yield Finding("ratios", place, row["value"], found, verdict, row["source"])


def factors_in_the_text(catalogue: Catalogue, reported: pd.DataFrame) -> Iterator[Finding]:
    """A factor that the text names for several environments holds in each of them."""
    rows = _derived(catalogue, reported)
    tables = rows[rows["task"] != ""]
    for _, row in rows[(rows["task"] == "") & rows["printed_environment"].isin(GROUPS)].iterrows():
        begins = GROUPS[row["printed_environment"]]
        behind = tables[tables["task"].str.startswith(begins) & (tables["metric"] == row["metric"])]
        found = [ratio for _, one in behind.iterrows() if (ratio := _ratio(catalogue, reported, one))]
        if not found:
            continue
        holds = sum(ratio[2] >= bounds(row["value"])[0] for ratio in found)
        verdict: Verdict = "agrees" if holds == len(found) else "conflicts"
        listed = ", ".join(f"{ratio[1]:.1f}" for ratio in found)
        said = f"{listed} from the printed numbers: reached in {holds} of {len(found)}"
        place = f"text, {row['printed_environment']}"
        yield Finding("factors in the text", place, f"{row['value']} times", said, verdict, row["source"])


def ratios_of_others(catalogue: Catalogue, reported: pd.DataFrame) -> Iterator[Finding]:
    """Printed ratios that are those of another project's numbers, where all of them are."""
    papers, others = reported[reported["paper"] != REFERENCE], reported[reported["paper"] == REFERENCE]
    rows = _derived(catalogue, papers)
    rows = rows[rows["task"] != ""]
    for (artifact, method, metric), printed in grouped(rows, ["artifact", "method", "metric"]):
        derived = catalogue.metrics[metric].derived
        assert derived is not None
        own = [_ratio(catalogue, papers, row) for _, row in printed.iterrows()]
        mine = [ratio[1] if ratio else math.nan for ratio in own]
        for origin, named, theirs, read in _ratios_elsewhere(others, method, derived.metric):
            elsewhere = [theirs.get(task, math.nan) for task in printed["task"]]
            if _rounding(printed, elsewhere) < len(printed):
                continue
            found = (
                f"all are the ratios of {printed['printed_method'].iloc[0]} and {named} in {origin}: "
                f"{', '.join(f'{value:.1f}' for value in elsewhere)}; of the paper's own ratios "
                f"{_rounding(printed, mine)} of {len(printed)} round to them"
            )
            source = f"{sources(printed)}; {read}"
            said = ", ".join(printed["value"])
            yield Finding("ratios of another project", artifact, said, found, "noted", source)


def _rounding(printed: pd.DataFrame, exact: list[float]) -> int:
    """How many printed numbers are what some ratios round to; NaN stands for one that is not known."""
    ends = map(bounds, printed["value"])
    return sum(low <= value <= high for (low, high), value in zip(ends, exact, strict=True))


def _ratios_elsewhere(
    others: pd.DataFrame, method: str, metric: str
) -> Iterator[tuple[str, str, dict[str, float], str]]:
    """(project, the method below the line, task -> ratio, source) of each pair that another project prints.

    Above the line stands `method`; below it one that this catalogue does not know.
    """
    behind = others[others["metric"] == metric]
    for origin, project in behind.groupby(behind["source"].str.partition(": ")[0]):
        above = project[project["method"] == method].set_index("task")["value"].astype(float)
        for named, below in project[project["method"] == ""].groupby("printed_method"):
            theirs = (above / below.set_index("task")["value"].astype(float)).dropna()
            yield str(origin), str(named), {str(k): v for k, v in theirs.items()}, sources(below)
