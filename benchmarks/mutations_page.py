"""The page of the mutations: each claim's score, and what each fault did."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from bench.analysis.mutation_scores import scores
from benchmarks.faults import Faults

HEAD = """# Mutation scores of claims

A claim whose word no fault in the code can change tests nothing. `benchmarks/mutations.yaml` holds faults,
each a plausible bug of a line or two. `python -m benchmarks.mutations` plants them one at a time in a copy of
the repository, makes the jobs again whose fingerprint the fault changes, decides the claims anew, and writes
this page and `results/benchmarks/mutations.csv`. Nothing is made twice under the same fingerprints, so that a
run that was stopped goes on.

The budgets are those of `benchmarks/mutations_tier.yaml`: the quick tier's, on fewer tasks, with the three
seeds that an interval needs. A score speaks of these budgets. A claim that they leave undecided has no
word to change.
"""
NOTES = """
*Tried* counts the faults that a claim's numbers depend on and that were run, *changed* those under which the
claim has another word. A fault with which the code does not run is *crashed*: anybody would see it, so it
counts for nothing. *Untouched* are faults in code that the numbers do not depend on, by their fingerprints.
*Left out* are those that would have cost more than the run allowed, or whose times a busy machine disturbed.

A low score does not say that a claim is decided wrongly. A ratio of 15 held against a threshold of 5 stays
above it under most faults, and a claim that is contradicted by far stays contradicted. It says that the word
would not reveal these faults: the tests and the regression against the store have to.
"""


def page_of(faults: Faults, table: pd.DataFrame) -> str:
    """The page, from the rows of `results/benchmarks/mutations.csv`."""
    return "\n".join([
        HEAD, "## Claims\n", _done(faults, table), *_claims(table), NOTES,
        "## Faults\n", *_faults(faults, table), "",
    ])  # fmt: skip


def _done(faults: Faults, table: pd.DataFrame) -> str:
    """How many of the faults the scores rest on."""
    ran = len(set(table["fault"])) if not table.empty else 0
    asked = {claim for fault in faults.faults for claim in faults.claims_of(fault)}
    return f"{ran} of {len(faults.faults)} faults have been planted so far, for {len(asked)} claims.\n"


def _claims(table: pd.DataFrame) -> list[str]:
    if table.empty:
        return ["No fault has been tried."]
    found = scores(table)
    return _markdown([str(name) for name in found.columns], found.astype(str).to_numpy().tolist())


def _faults(faults: Faults, table: pd.DataFrame) -> list[str]:
    rows = []
    for fault in faults.faults:
        own = table[table["fault"] == fault.name]
        did = "; ".join(_did(row) for row in own.to_dict("records")) or "not run"
        rows.append([fault.name, ", ".join(fault.methods), fault.says, did])
    return _markdown(["fault", "code of", "what it does", "claims"], rows)


def _did(row: Mapping[Hashable, Any]) -> str:
    """What became of a claim under a fault."""
    claim, outcome = f"`{row['claim']}`", row["outcome"]
    if outcome != "tried":
        return f"{claim} {outcome}"
    effects = f"{row['effect_before']:.3g} to {row['effect_after']:.3g}"
    if row["changed"] == "yes":
        return f"{claim} **{row['before']} -> {row['after']}** ({effects})"
    return f"{claim} stays {row['before']} ({effects})"


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
