"""How many of the printed numbers are ours too: results, and apart from them settings, which no run gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

# What a number is of: the outcome of a run, or a hyper-parameter or constant.
RESULT, SETTING = "result", "setting"


def agreement(judged: Iterable[tuple[str, str]]) -> dict[str, int]:
    """What is counted of the (kind, verdict) of numbers whose printed value is known."""
    found = Counter(judged)
    return {
        "results_match": found[RESULT, "match"],
        "results_printed": sum(count for (kind, _), count in found.items() if kind == RESULT),
        "settings_agree": found[SETTING, "agrees"],
        "settings_printed": sum(count for (kind, _), count in found.items() if kind == SETTING),
    }


def in_words(counts: Mapping[str, int]) -> str:
    """The counts of `agreement` as half a sentence."""
    return (
        f"{counts['results_match']:,} of {counts['results_printed']:,} results match; "
        f"{counts['settings_agree']:,} of {counts['settings_printed']:,} settings agree"
    )
