"""How many planted faults each claim hears: the score, from the trials that `benchmarks.mutations` wrote."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.work.claims import MUTATIONS

EFFECTS = ("effect_before", "effect_after")
# In the place of a score where a claim has no word that a fault could change.
UNDECIDED = "undecided"


def read_trials(path: Path = MUTATIONS) -> pd.DataFrame:
    """The trials, one row a fault and claim; none where no fault has ever been planted."""
    if not path.exists():
        return pd.DataFrame(columns=["fault", "claim", "outcome", "before", "changed", *EFFECTS])
    return pd.read_csv(path, keep_default_na=False, na_values={name: [""] for name in EFFECTS})


def scores(trials: pd.DataFrame) -> pd.DataFrame:
    """One row a claim: its word without a fault, how many faults were tried and how many changed it."""
    rows = []
    for claim, own in trials.groupby("claim", sort=True):
        outcomes = own["outcome"].value_counts()
        tried, changed = int(outcomes.get("tried", 0)), int((own["changed"] == "yes").sum())
        undecided = "undecided" in outcomes
        rows.append({
            "claim": claim,
            "word": f"undecided ({own['before'].iloc[-1]})" if undecided else own["before"].iloc[-1],
            "tried": tried, "changed": changed, "score": f"{changed / tried:.0%}" if tried else "-",
            "crashed": int(outcomes.get("crashed", 0)), "untouched": int(outcomes.get("untouched", 0)),
            "left out": int(outcomes.get("left out", 0) + outcomes.get("busy", 0)),
        })  # fmt: skip
    return pd.DataFrame(rows)


def scores_said(trials: pd.DataFrame) -> dict[str, str]:
    """The score of each claim that a fault was tried on, "6 of 10", or UNDECIDED."""
    rows = scores(trials).to_dict("records")
    return {
        str(row["claim"]): f"{row['changed']} of {row['tried']}" if row["tried"] else UNDECIDED
        for row in rows
        if row["tried"] or str(row["word"]).startswith(UNDECIDED)
    }
