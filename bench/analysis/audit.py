"""What the papers print, checked against itself: no number of ours takes part.

Each check reads the reported numbers (columns as in results/reported) and yields findings. Printed
digits are rounded, so a number stands for everything that rounds to it: a check fails only where no
such values could give what is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd

from bench.analysis.reported import REFERENCE
from bench.catalogue.catalogue import Catalogue

Verdict = Literal["agrees", "conflicts", "noted", "open"]
# Environments a paper's text names together -> how their tasks' names begin.
GROUPS = {"D4RL": ("halfcheetah-", "hopper-", "walker2d-"), "Large Grid World": ("large-",)}
# Metrics that say of a model which share of the baseline's size it has.
SHARES: dict[str, Callable[[float], float]] = {
    "parameter_reduction": lambda percent: 1 - percent / 100,
    "parameter_ratio": lambda ratio: ratio,
    "times_fewer_parameters": lambda times: 1 / times,
}


@dataclass(frozen=True)
class Finding:
    """One thing that was checked: where, what is printed, what it ought to be, and where it was read."""

    check: str
    place: str
    printed: str
    found: str
    verdict: Verdict
    source: str


def audit(catalogue: Catalogue, reported: pd.DataFrame) -> list[Finding]:
    """Every finding of every check, in order."""
    checks = (
        averages, errors_of_averages, order_of_averages, partial(ratios, catalogue),
        partial(factors_in_the_text, catalogue), printed_twice, sizes, partial(heads, catalogue), ranges,
        quoted,
    )  # fmt: skip
    papers = reported[reported["paper"] != REFERENCE]
    return [finding for check in checks for finding in check(reported if check is quoted else papers)]


def half_unit(text: str) -> float:
    """Half a unit of a number's last printed digit: 0.005 for 94.21."""
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


def bounds(text: str) -> tuple[float, float]:
    """The least and the greatest value that are printed so."""
    return float(text) - half_unit(text), float(text) + half_unit(text)


def _sources(rows: pd.DataFrame) -> str:
    return "; ".join(dict.fromkeys(rows["source"]))


def _columns(reported: pd.DataFrame) -> Iterator[tuple[str, pd.Series, pd.DataFrame]]:
    """(place, average, its members) of every column with a printed average."""
    for _, average in reported[reported["task"] == "average"].iterrows():
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


def printed_twice(reported: pd.DataFrame) -> Iterator[Finding]:
    """A number that two tables of a paper print is one number, of one thing."""
    cell = ["paper", "task", "method", "settings", "metric"]
    tables = reported[(reported["artifact"] != "") & (reported["task"] != "")]
    tables = tables.drop_duplicates(["artifact", *cell, "value"])
    for one, other in combinations(sorted(set(tables["artifact"])), 2):
        sides = [tables[tables["artifact"] == name] for name in (one, other)]
        for metric, both in sides[0].merge(sides[1], on=cell, suffixes=("", "_other")).groupby("metric"):
            differing = both[both["value"].astype(float) != both["value_other"].astype(float)]
            named = (both["printed_metric"].iloc[0], both["printed_metric_other"].iloc[0])
            found = f"{len(differing)} of {len(both)} differ" if len(differing) else "equal in both"
            if named[0] != named[1]:
                found += f", called {named[0]!r} in the one and {named[1]!r} in the other"
            verdict: Verdict = "conflicts" if len(differing) or named[0] != named[1] else "agrees"
            printed = f"{metric} of {len(both)} cells"
            yield Finding("printed twice", f"{one} and {other}", printed, found, verdict, _sources(both))


def sizes(reported: pd.DataFrame) -> Iterator[Finding]:
    """What is said of a model's size in one environment is one size, to a twentieth of the baseline's."""
    rows = reported[reported["metric"].isin(SHARES)]
    for (paper, environment, named), group in rows.groupby(
        ["paper", "printed_environment", "printed_method"]
    ):
        shares = [SHARES[m](float(v)) for m, v in zip(group["metric"], group["value"], strict=True)]
        if len(shares) < 2:
            continue
        printed = "; ".join(f"{r['value']} ({r['printed_metric']})" for r in group.to_dict("records"))
        found = "shares of " + " and ".join(f"{share:.2f}" for share in shares)
        verdict: Verdict = "agrees" if max(shares) - min(shares) <= 0.05 else "conflicts"
        place = f"{paper}, {named} in {environment}"
        yield Finding("sizes", place, printed, found, verdict, _sources(group))


def heads(catalogue: Catalogue, reported: pd.DataFrame) -> Iterator[Finding]:
    """Attention heads divide the width they share."""
    for (artifact, _), group in reported.groupby(["artifact", "task"]):
        values = group.drop_duplicates("metric").set_index("metric")["value"]
        if {"heads", "embedding_dim"} <= set(values.index):
            count, width = int(values["heads"]), int(values["embedding_dim"])
            printed, found = f"{count} heads at width {width}", f"{width} / {count} = {width / count:.4g}"
            verdict: Verdict = "conflicts" if width % count else "agrees"
            place = f"{artifact}, {catalogue.methods[group['method'].iloc[0]].title}"
            yield Finding("heads", place, printed, found, verdict, _sources(group))


def ranges(reported: pd.DataFrame) -> Iterator[Finding]:
    """A setting lies within the range that the text says was searched."""
    ends = reported[(reported["artifact"] == "") & reported["printed_metric"].str.contains("range searched")]
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
            yield Finding("ranges", place, printed, found, verdict, _sources(group))


def quoted(reported: pd.DataFrame) -> Iterator[Finding]:
    """Columns that equal another project's numbers, and where they do not."""
    reference = reported[(reported["paper"] == REFERENCE) & (reported["artifact"] == "")]
    cell = ["task", "method", "metric"]
    scores = reported[(reported["paper"] != REFERENCE) & reported["metric"].str.endswith("score")]
    both = scores.merge(reference.drop_duplicates(cell), on=cell, suffixes=("", "_reference"))
    for (artifact, _, named), group in both.groupby(["artifact", "method", "printed_method"]):
        same = group["value"].astype(float) == group["value_reference"].astype(float)
        differing = group[~same].to_dict("records")
        others = [f"{row['task']} {row['value']}, there {row['value_reference']}" for row in differing]
        printed = f"{len(group)} cells"
        found = f"{same.sum()} of {len(group)} equal" + (f"; but {'; '.join(others)}" if others else "")
        origin = "; ".join(dict.fromkeys(group["source_reference"]))
        yield Finding("equal to another project's", f"{artifact}, {named}", printed, found, "noted", origin)


def counted(findings: Iterable[Finding]) -> dict[Verdict, int]:
    """How often each verdict fell, conflicts first."""
    every: tuple[Verdict, ...] = ("conflicts", "agrees", "noted", "open")
    listed = [finding.verdict for finding in findings]
    return {verdict: listed.count(verdict) for verdict in every}
