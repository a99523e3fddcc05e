"""Numbers that stand twice: in two places of a paper, or in a paper and in another project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import pandas as pd

from bench.analysis.audit.finding import Finding, Verdict, bounds, numbers
from bench.analysis.reported import BESIDE, READING_ERROR, REFERENCE
from bench.catalogue.catalogue import Catalogue

CELL = ["paper", "task", "method", "settings", "metric"]


def _places(catalogue: Catalogue, reported: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The numbers of each table and figure by its name; entries with a label are places of their own.

    Of a curve the last point is taken, as the score that the curve ends in.
    """
    rows = numbers(reported[(reported["artifact"] != "") & (reported["task"] != "")])
    ends = {p.curve: p.score for p in catalogue.protocols.values() if p.curve}
    last = rows["index"].astype(bool) & (
        pd.to_numeric(rows["index"])
        == pd.to_numeric(rows["index"]).groupby(rows["artifact"]).transform("max")
    )
    rows = rows[(rows["index"] == "") | last]
    rows = rows.assign(metric=rows["metric"].replace(ends))
    names = rows["artifact"] + rows["label"].map(lambda label: f", {label}" if label else "")
    return {name: own.drop_duplicates([*CELL, "value"]) for name, own in rows.groupby(names)}


def printed_twice(catalogue: Catalogue, reported: pd.DataFrame) -> Iterator[Finding]:
    """A number that two tables or figures of a paper print is one number, of one thing.

    What was read off a drawing may be off by the error of reading.
    """
    for (one, first), (other, second) in combinations(_places(catalogue, reported).items(), 2):
        for metric, both in first.merge(second, on=CELL, suffixes=("", "_other")).groupby("metric"):
            differing = [
                f"{row['task']} {row['value']} and {row['value_other']}"
                for row in both.to_dict("records")
                if _apart(row)
            ]
            named = (both["printed_metric"].iloc[0], both["printed_metric_other"].iloc[0])
            found = f"{len(differing)} of {len(both)} differ" if differing else "equal in both"
            found += f": {', '.join(differing)}" if differing else ""
            if named[0] != named[1]:
                found += f", called {named[0]!r} in the one and {named[1]!r} in the other"
            verdict: Verdict = "conflicts" if differing or named[0] != named[1] else "agrees"
            printed = f"{metric} of {len(both)} cells"
            read = "; ".join(dict.fromkeys([*both["source"], *both["source_other"]]))
            yield Finding("printed twice", f"{one} and {other}", printed, found, verdict, read)


def _apart(row: Mapping[Any, Any]) -> bool:
    """Whether the two numbers of a pair cannot be one, in the digits printed or by the errors of reading."""
    if float(row["value"]) == float(row["value_other"]):
        return False
    sides = [
        (row[f"value{side}"], row[f"spread{side}"], row[f"spread_kind{side}"]) for side in ("", "_other")
    ]
    drawn = [float(spread) if kind.startswith(READING_ERROR) else 0.0 for _, spread, kind in sides]
    if not any(drawn):
        return True
    ends = [bounds(value, error) for (value, _, _), error in zip(sides, drawn, strict=True)]
    return max(low for low, _ in ends) > min(high for _, high in ends) + 1e-9


def equal_elsewhere(reported: pd.DataFrame) -> Iterator[Finding]:
    """Columns most of which equal another project's numbers, and where they do not."""
    known = reported[(reported["index"] == "") & ~reported["confidence"].isin(BESIDE)]
    reference = known[(known["paper"] == REFERENCE) & (known["method"] != "")]
    reference = reference.assign(origin=reference["source"].str.split(": ", n=1).str[0])
    cell = ["task", "method", "metric"]
    tables = numbers(known[(known["artifact"] != "") & (known["settings"] == "default")])
    both = tables.merge(reference.drop_duplicates([*cell, "origin"]), on=cell, suffixes=("", "_reference"))
    columns = ["artifact", "method", "printed_method", "metric", "origin"]
    for (artifact, _, named, metric, origin), group in both.groupby(columns):
        same = group["value"].astype(float) == group["value_reference"].astype(float)
        if 2 * same.sum() <= len(group):
            continue
        differing = group[~same].to_dict("records")
        others = [f"{row['task']} {row['value']}, there {row['value_reference']}" for row in differing]
        found = f"{same.sum()} of {len(group)} equal" + (f"; but {'; '.join(others)}" if others else "")
        called = list(dict.fromkeys(group["printed_metric_reference"]))
        if called != list(dict.fromkeys(group["printed_metric"])):
            found += f"; called {', '.join(map(repr, called))} there"
        read = "; ".join(dict.fromkeys(group["source_reference"]))
        place = f"{artifact}, {named}: {metric} of {origin}"
        yield Finding("equal to another project's", place, f"{len(group)} cells", found, "noted", read)
