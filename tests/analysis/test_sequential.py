"""Claims are decided in stages, and all of them together are wrong no more often than was declared."""

import numpy as np
import pytest

from bench.analysis.claims import words_of
from bench.analysis.intervals import moments, over_units
from bench.analysis.sequential import DESIGN, OPEN, Design, decide
from benchmarks.settle import CAMPAIGNS, MIXED, TRUTHS, measured

ONE_LOOK = Design(looks=(5,), shares=(1.0,), error=0.05)


def words(found):
    return {name: str(one.words) for name, one in found.items()}


def by_level(levels):
    """Claims that are supported as soon as one direction may err with this probability."""

    def ask(name, look, confidence):
        return np.where((1.0 - confidence) / 2.0 >= levels[name] - 1e-12, "supported", OPEN)

    return ask


def test_what_the_looks_spend_on_all_claims_is_the_declared_error():
    assert sum(DESIGN.shares) == pytest.approx(1.0)
    claims = 12
    spent = sum((1.0 - DESIGN.confidence(look, 2 * claims)) / 2.0 for look in range(len(DESIGN.looks)))
    assert 2 * claims * spent == pytest.approx(DESIGN.error)


def test_a_decided_direction_passes_its_error_on_and_an_open_one_keeps_it():
    first, second = 0.05 / 4, 0.05 / 3
    assert words(decide(ONE_LOOK, {"a": 1, "b": 1}, by_level({"a": first, "b": second}))) == {
        "a": "supported", "b": "supported",
    }  # fmt: skip
    both_need_more = decide(ONE_LOOK, {"a": 1, "b": 1}, by_level({"a": second, "b": second}))
    assert words(both_need_more) == {"a": OPEN, "b": OPEN}


def test_a_claim_under_two_conditions_has_four_directions():
    alone = by_level({"a": 0.05 / 2})
    assert words(decide(ONE_LOOK, {"a": 1}, alone)) == {"a": "supported"}
    assert words(decide(ONE_LOOK, {"a": 2}, alone)) == {"a": OPEN}


def test_the_first_look_that_decides_gives_the_word():
    def ask(name, look, confidence):
        return np.asarray({1: "contradicted", 2: "supported"}.get(look, OPEN))

    found = decide(DESIGN, {"a": 1}, ask)["a"]
    assert (str(found.words), int(found.look)) == ("contradicted", 1)


@pytest.mark.parametrize("truth", ["all at their thresholds", "one of each claim at its threshold", MIXED])
def test_any_claim_is_wrong_in_at_most_six_percent_of_campaigns(truth):
    """The upper end of the 95 % Clopper-Pearson interval over 2,000 campaigns of twelve claims."""
    row = measured(truth, "normal", CAMPAIGNS)
    assert row["high"] <= 0.06


def test_at_twice_the_thresholds_a_third_of_the_seeds_is_saved_for_little_power():
    assert "all at twice their thresholds" in TRUTHS
    row = measured("all at twice their thresholds", "normal", CAMPAIGNS // 4)
    assert row["seeds_saved"] > 0.3
    assert row["supported_by_ten_seeds_each"] - row["supported"] < 0.03


def test_an_effect_of_six_deviations_is_decided_as_adastop_decides_it():
    """AdaStop compares agents by permutations (Mathieu and others, 2023); asked where it is installed."""
    adastop = pytest.importorskip("adastop")
    generator = np.random.default_rng(0)
    ours, theirs = generator.normal(3.0, 0.5, 10), generator.normal(0.0, 0.5, 10)
    comparator = adastop.MultipleAgentsComparator(n=5, K=2, B=1_000, alpha=0.05, seed=0)
    for seeds in (5, 10):
        if seeds == 5 or not comparator.is_finished:
            comparator.partial_compare({"ours": ours[:seeds], "theirs": theirs[:seeds]})
    assert set(comparator.decisions.values()) <= {"larger", "smaller"}

    def ask(name, look, confidence):
        mean, variance = moments((ours - theirs)[: DESIGN.looks[look]])
        estimate = over_units(mean, variance, DESIGN.looks[look])
        said = str(words_of((0.0, np.inf), estimate, 1, confidence))
        return np.asarray(OPEN if said == "inconclusive" else said)

    assert words(decide(DESIGN, {"ours over theirs": 1}, ask)) == {"ours over theirs": "supported"}
