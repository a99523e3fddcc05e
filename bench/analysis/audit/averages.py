"""Averages over tasks: value, error, order, and who else is above the paper's own method."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bench.analysis.audit.finding import Finding, Verdict, bounds, half_unit
from bench.analysis.reported import REFERENCE


def _columns(reported: pd.DataFrame) -> Iterator[tuple[str, pd.Series, pd.DataFrame]]:
    """(place, average, its members) of every column with a printed average."""
    for _, average in reported[(reported["task"] == "average") & (reported["artifact"] != "")].iterrows():
        same = ["artifact", "method", "settings", "metric"]
        column = reported[(reported[same] == average[same]).all(axis=1)]
        members = column[~column["task"].isin(["average", ""])]
        yield f"{average['artifact']}, {average['printed_method']}", average, members


def averages(reported: pd.DataFrame) -> Iterator[Finding]:
    """A printed average is the mean of its column."""
    for place, average, members in _columns(reported):
        printed, source = average["value"], average["source"]
        if members.empty:
            found = "the cells of this column are not known"
            yield Finding("averages", place, printed, found, "open", source)
            continue
        low, high = np.mean([bounds(value) for value in members["value"]], axis=0)
        least, greatest = bounds(printed)
        fits = low <= greatest + 1e-9 and high >= least - 1e-9
        found = f"{members['value'].astype(float).mean():.2f}, the mean of {len(members)} cells"
        yield Finding("averages", place, printed, found, "agrees" if fits else "conflicts", source)


def errors_of_averages(reported: pd.DataFrame) -> Iterator[Finding]:
    """The standard error of an average of n independent cells: the root of their squares' sum, over n."""
    for place, average, members in _columns(reported):
        if not average["spread"] or members.empty:
            continue
        printed = f"± {average['spread']} ({average['spread_kind']})"
        if (members["spread"] == "").any():
            found = "the errors of the cells are not printed"
            yield Finding("errors of averages", place, printed, found, "open", average["source"])
            continue
        errors = members["spread"].astype(float)
        least, greatest = bounds(average["spread"])
        slack = max(half_unit(spread) for spread in members["spread"])
        own, mean = np.hypot.reduce(errors) / len(errors), errors.mean()
        found = f"{own:.2f} if the cells are independent"
        if least - slack <= mean <= greatest + slack:
            found += f"; the mean of the cells' errors is {mean:.2f}"
        # No conflict where it is another number, since the papers do not say what it is.
        verdict: Verdict = "agrees" if least - slack <= own <= greatest + slack else "noted"
        yield Finding("errors of averages", place, printed, found, verdict, average["source"])


def order_of_averages(reported: pd.DataFrame) -> Iterator[Finding]:
    """Methods stand in the same order by printed averages as by the means of their columns."""
    columns = [(average, members) for _, average, members in _columns(reported) if not members.empty]
    for artifact in dict.fromkeys(average["artifact"] for average, _ in columns):
        own = [pair for pair in columns if pair[0]["artifact"] == artifact]
        printed = sorted(own, key=lambda pair: -float(pair[0]["value"]))
        by_mean = sorted(own, key=lambda pair: -pair[1]["value"].astype(float).mean())
        orders = [" > ".join(one["printed_method"] for one, _ in order) for order in (printed, by_mean)]
        verdict: Verdict = "agrees" if orders[0] == orders[1] else "conflicts"
        yield Finding("order of averages", artifact, orders[0], orders[1], verdict, own[0][0]["source"])


def baselines_above(reported: pd.DataFrame) -> Iterator[Finding]:
    """Whether another method's mean, in the paper or elsewhere, is above that of the paper's own method.

    A paper's own method is the one of its name. A column counts where it holds every task of the table.
    """
    scores = reported[reported["metric"].str.endswith("score") & (reported["index"] == "")]
    for place, average, _ in _columns(scores):
        if average["method"] != average["paper"] or average["settings"] != "default":
            continue
        means = _means_of_others(scores, average)
        above = means[means["mean"] > float(average["value"])]
        listed = [f"{row['named']} {row['mean']:.2f} ({row['origin']})" for row in above.to_dict("records")]
        found = f"above it: {', '.join(listed)}" if listed else f"none of {len(means)} others is above it"
        verdict: Verdict = "noted" if listed else "agrees"
        read = "; ".join(dict.fromkeys([average["source"], *above["source"]]))
        yield Finding("baselines above", place, average["value"], found, verdict, read)


def _means_of_others(scores: pd.DataFrame, average: pd.Series) -> pd.DataFrame:
    """Name, mean, origin and source of every other method on the tasks of an average's table."""
    artifact = scores[(scores["artifact"] == average["artifact"]) & (scores["method"] != average["method"])]
    cells = artifact[artifact["task"] != "average"]
    tasks = set(cells["task"])
    elsewhere = scores[(scores["paper"] == REFERENCE) & scores["task"].isin(tasks)]
    found = []
    for rows, origin in ((cells, average["artifact"]), (elsewhere, "")):
        for (source, named), column in rows[rows["metric"] == average["metric"]].groupby(
            ["source", "printed_method"]
        ):
            column = column.drop_duplicates("task")
            mean = column["value"].astype(float).mean()
            if len(column) == len(tasks):
                found.append((named, mean, origin or source.partition(": ")[0], source))
    # Where a column's cells are not known its printed average stands for them.
    known = {named for named, _, origin, _ in found if origin == average["artifact"]}
    for _, row in artifact[artifact["task"] == "average"].iterrows():
        if row["printed_method"] not in known:
            found.append((row["printed_method"], float(row["value"]), average["artifact"], row["source"]))
    return pd.DataFrame(found, columns=["named", "mean", "origin", "source"])
