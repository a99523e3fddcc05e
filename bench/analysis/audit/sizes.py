"""Sizes: what is said of a model's size against itself, and against the count of the official classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from bench.analysis.audit.finding import Finding, Verdict, sources

# Metrics that say of a model which share of the baseline's size it has.
SHARES: dict[str, Callable[[float], float]] = {
    "parameter_reduction": lambda percent: 1 - percent / 100,
    "parameter_ratio": lambda ratio: ratio,
    "times_fewer_parameters": lambda times: 1 / times,
}
# A share said in words ("a quarter") is taken to be right to a twentieth of the baseline's size.
NEAR = 0.05


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
        verdict: Verdict = "agrees" if max(shares) - min(shares) <= NEAR else "conflicts"
        place = f"{paper}, {named} in {environment}"
        yield Finding("sizes", place, printed, found, verdict, sources(group))


def official_counts(reported: pd.DataFrame, defaults: pd.DataFrame) -> Iterator[Finding]:
    """What is said of a model's size is the size of one of the configurations of its official code.

    `defaults` holds the counts of the official classes; a claim "A vs B" is held against each B counted.
    """
    counts = defaults[defaults["name"] == "parameters"]
    for _, claim in reported[reported["metric"].isin(SHARES)].iterrows():
        own, _, baseline = claim["printed_method"].partition(" vs ")
        here = counts[
            (counts["environment"] == claim["printed_environment"]) & (counts["paper"] == claim["paper"])
        ]
        models = here[here["method"].str.startswith(f"{own} ")]
        said = SHARES[claim["metric"]](float(claim["value"]))
        against = here[here["method"].str.startswith(f"{baseline} ")]
        for name, sized in against.groupby("method"):
            pairs = models.merge(sized, on="dataset", suffixes=("", "_baseline"))
            shares = pairs["value"].astype(float) / pairs["value_baseline"].astype(float)
            listed = [
                f"{method.removeprefix(own).strip()} on {dataset} {share:.3f}"
                for method, dataset, share in zip(pairs["method"], pairs["dataset"], shares, strict=True)
            ]
            near = [abs(share - said) <= NEAR for share in shares]
            fit, miss = (
                ", ".join(one for one, n in zip(listed, near, strict=True) if n is w) for w in (True, False)
            )
            verdict: Verdict = "conflicts" if not any(near) else "agrees" if all(near) else "noted"
            found = "; ".join(filter(None, [fit and f"fits {fit}", miss and f"does not fit {miss}"]))
            place = f"{claim['paper']}, {own} in {claim['printed_environment']} against {name}"
            printed = f"{claim['value']} ({claim['printed_metric']}): a share of {said:.2f}"
            yield Finding("official counts", place, printed, found, verdict, sources(pairs))
