"""Settings: heads and widths, ranges that were searched, and what text, tables and code say of one."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.analysis.audit.finding import Finding, Verdict, grouped, sources
from bench.catalogue.catalogue import Catalogue

# How the text names the ends of a range that was searched.
SEARCHED = "range searched"


def heads(catalogue: Catalogue, reported: pd.DataFrame) -> Iterator[Finding]:
    """Attention heads divide the width they share."""
    for (artifact, _), group in reported.groupby(["artifact", "task"]):
        values = group.drop_duplicates("metric").set_index("metric")["value"]
        if {"heads", "embedding_dim"} <= set(values.index):
            count, width = int(values["heads"]), int(values["embedding_dim"])
            printed, found = f"{count} heads at width {width}", f"{width} / {count} = {width / count:.4g}"
            verdict: Verdict = "conflicts" if width % count else "agrees"
            place = f"{artifact}, {catalogue.methods[group['method'].iloc[0]].title}"
            yield Finding("heads", place, printed, found, verdict, sources(group))


def ranges(reported: pd.DataFrame) -> Iterator[Finding]:
    """A setting lies within the range that the text says was searched."""
    ends = reported[(reported["artifact"] == "") & reported["printed_metric"].str.contains(SEARCHED)]
    for (method, metric), group in ends.groupby(["method", "metric"]):
        low, high = group["value"].astype(float).min(), group["value"].astype(float).max()
        tables = reported[
            (reported["artifact"] != "") & (reported["task"] != "")
            & (reported["method"] == method) & (reported["metric"] == metric)
        ]  # fmt: skip
        outside = tables[~tables["value"].astype(float).between(low, high)]
        for (artifact, value), rows in outside.groupby(["artifact", "value"]):
            said, there = group["printed_environment"].iloc[0], rows["printed_environment"].iloc[0]
            found = f"{value} in {len(rows)} tasks ({there}); the range is stated of {said}"
            verdict: Verdict = "conflicts" if said == there else "open"
            place = f"text and {artifact}"
            printed = f"{metric} from {low:g} to {high:g}"
            yield Finding("ranges", place, printed, found, verdict, sources(group))


def said_twice(catalogue: Catalogue, reported: pd.DataFrame) -> Iterator[Finding]:
    """A setting that the text names too is the one of the table, for the tasks that the text speaks of."""
    settings = reported[~reported["metric"].isin(catalogue.metrics)]
    text = settings[(settings["artifact"] == "") & ~settings["printed_metric"].str.contains(SEARCHED)]
    text = text[(text["task"] != "") | (text["printed_environment"] == "all")]
    tables = settings[(settings["artifact"] != "") & (settings["task"] != "")]
    for _, said in text[text["method"] != ""].iterrows():
        same = (tables["paper"] == said["paper"]) & (tables["method"] == said["method"])
        rows = tables[same & (tables["metric"] == said["metric"])]
        rows = rows[rows["task"] == said["task"]] if said["task"] else rows
        for artifact, group in rows.groupby("artifact"):
            other = group[group["value"] != said["value"]]
            listed = ", ".join(
                dict.fromkeys(f"{row['value']} ({row['task']})" for _, row in other.iterrows())
            )
            verdict: Verdict = "conflicts" if listed else "agrees"
            place = f"text and {artifact}"
            printed = f"{said['metric']} {said['value']}: {said['printed_metric']}"
            found = f"the table has {listed}" if listed else "the same in the table"
            read = "; ".join(dict.fromkeys([said["source"], *group["source"]]))
            yield Finding("said twice", place, printed, found, verdict, read)


def text_and_code(catalogue: Catalogue, reported: pd.DataFrame, defaults: pd.DataFrame) -> Iterator[Finding]:
    """A printed setting against the default of the paper's own code."""
    settings = reported[(reported["artifact"] != "") & (reported["task"] != "")]
    settings = settings[~settings["metric"].isin(catalogue.metrics)]
    code = defaults[defaults["paper"].isin(catalogue.papers) & (defaults["name"] != "")]
    for (artifact, name), rows in grouped(code, ["bears_on", "name"]):
        printed = settings[(settings["artifact"] == artifact) & (settings["metric"] == name)]
        if printed.empty:
            continue
        values = [list(dict.fromkeys(one["value"])) for one in (printed, rows)]
        ours, theirs = ({float(value) for value in side} for side in values)
        verdict: Verdict = "agrees" if ours == theirs else "noted" if theirs <= ours else "conflicts"
        found = f"the code has {', '.join(values[1])} ({', '.join(dict.fromkeys(rows['quantity']))})"
        yield Finding(
            "text and code", artifact, f"{name} {', '.join(values[0])}", found, verdict, sources(rows)
        )
