"""Numbers that stand twice: in two places of a paper, or in a paper and in another project."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pandas as pd

from bench.analysis.audit.finding import Finding, Verdict, bounds_of, numbers, sources
from bench.analysis.reported import BESIDE, REFERENCE
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
            pairs = [
                (
                    row[first.columns],
                    row[[f"{name}_other" if name not in CELL else name for name in first.columns]],
                )
                for _, row in both.iterrows()
            ]
            differing = [f"{a['task']} {a['value']} and {b['value_other']}" for a, b in pairs if _apart(a, b)]
            named = (both["printed_metric"].iloc[0], both["printed_metric_other"].iloc[0])
            found = f"{len(differing)} of {len(both)} differ" if differing else "equal in both"
            found += f": {', '.join(differing)}" if differing else ""
            if named[0] != named[1]:
                found += f", called {named[0]!r} in the one and {named[1]!r} in the other"
            verdict: Verdict = "conflicts" if differing or named[0] != named[1] else "agrees"
            printed = f"{metric} of {len(both)} cells"
            yield Finding("printed twice", f"{one} and {other}", printed, found, verdict, sources(both))


def _apart(one: pd.Series, other: pd.Series) -> bool:
    """Whether two numbers cannot be one: in the digits printed, or beyond the errors of reading."""
    other = other.rename(lambda name: name.removesuffix("_other"))
    if float(one["value"]) == float(other["value"]):
        return False
    if "reading" not in one["spread_kind"] + other["spread_kind"]:
        return True
    (low, high), (least, greatest) = bounds_of(one), bounds_of(other)
    return low > greatest + 1e-9 or least > high + 1e-9


def equal_elsewhere(reported: pd.DataFrame) -> Iterator[Finding]:
    """Columns most of which equal another project's numbers, and where they do not."""
    known = reported[(reported["index"] == "") & ~reported["confidence"].isin(BESIDE)]
    reference = known[(known["paper"] == REFERENCE) & (known["method"] != "")]
    reference = reference.assign(origin=reference["source"].str.partition(": ")[0])
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
