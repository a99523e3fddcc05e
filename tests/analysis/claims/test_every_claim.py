"""Each claim of the papers on cells of known truth: the word that follows, and how often it is wrong."""

import numpy as np
import pandas as pd
import pytest
from suites import CATALOGUE, SUITE

from bench.analysis.claims import WORDS, limits
from bench.analysis.claims_page import page_of
from bench.analysis.claims_table import tables_of
from bench.analysis.error_rates import planted_in, rates_of
from bench.analysis.mutation_scores import UNDECIDED
from bench.analysis.report.overview import claims_shown
from bench.work.claims import is_ratio, load_claims
from bench.work.stored import STORED

from .made_cells import answered, claim_of, rows, rows_with_effect

CLAIMS = load_claims(SUITE)
# Of a claim's comparisons those on the fewest tasks stand for the others of the same metric and kind.
CASES = {
    f"{name}-{number}": one
    for name, claim in CLAIMS.items()
    for number, one in enumerate(claim.comparisons)
    if one.matched == "updates"
}


def effects_of(asked):
    """True effects that hold by far, and that do not, in the unit of rows_with_effect."""
    ratio = is_ratio(CATALOGUE, asked) and asked.along is None
    within = limits(asked, ratio)
    planted = planted_in(within, ratio)
    holds, fails = planted[3], planted[0] - 2 * abs(planted[1] - planted[0])
    if asked.expect == "equal":
        fails = 2 * planted[0]
    return (np.exp(holds), np.exp(fails)) if ratio else (holds, fails)


@pytest.mark.parametrize("name", CASES)
def test_a_true_effect_supports_and_a_false_one_contradicts(name):
    asked = CASES[name]
    smallest = (
        abs(np.log(asked.smallest)) if is_ratio(CATALOGUE, asked) and not asked.along else abs(asked.smallest)
    )
    spread = 0.05 * (smallest or 0.1)
    holds, fails = effects_of(asked)
    if is_ratio(CATALOGUE, asked):
        # Beyond what a reading is trusted within.
        holds, fails = holds * CATALOGUE.metrics[asked.metric].tolerance, fails / 1.1
    claim = claim_of(asked)
    assert answered(claim, rows_with_effect(asked, holds, spread=spread)).word == "supported"
    assert answered(claim, rows_with_effect(asked, fails, spread=spread)).word == "contradicted"


@pytest.mark.parametrize("name", CASES)
def test_the_error_rates_of_a_comparison_are_those_it_promises(name):
    """Five seeds that spread by the smallest effect, or turns that spread by a twentieth."""
    asked = CASES[name]
    ratio = is_ratio(CATALOGUE, asked)
    spread = 0.05 if ratio else max(abs(asked.smallest), 0.01)
    holds, _ = effects_of(asked)
    answer = answered(claim_of(asked), rows_with_effect(asked, holds, spread=spread))
    rates = rates_of(CATALOGUE, name, answer.findings)
    if all(finding.question.is_exact for finding in answer.findings):
        assert rates is None
        return
    assert rates is not None
    # 2.5 % and four standard errors of 20,000 repetitions.
    assert rates.false_support <= 0.03
    assert rates.false_contradiction <= 0.03


def test_simulated_rates_are_those_of_cells_drawn_one_by_one():
    asked = CLAIMS["dema_three_tokens_on_hopper"].comparisons[0]
    draw = np.random.default_rng(11)
    claim = claim_of(asked.model_copy(update={"gates": ()}))
    words = [
        answered(claim, rows_with_effect(asked, 0.0, seeds=4, spread=1.0, draw=draw)).word for _ in range(150)
    ]
    answer = answered(claim, rows_with_effect(asked, 0.0, seeds=4, spread=1.0, draw=draw))
    deviation = float(np.std(answer.findings[0].question.groups[0].effects, ddof=1))
    scaled = rows_with_effect(asked, 0.0, seeds=4, spread=1.0 / deviation, draw=np.random.default_rng(1))
    rates = rates_of(CATALOGUE, "a claim", answered(claim, scaled).findings)
    share = words.count("contradicted") / len(words)
    assert share == pytest.approx(rates.contradiction["far"], abs=0.25)
    assert words.count("supported") <= 3


def test_every_claim_has_a_verdict_on_the_store_and_its_units_redo_it():
    cells = pd.read_csv(STORED / "quick" / "cells.csv", low_memory=False)
    table, units = tables_of(SUITE, CLAIMS, cells, "quick")
    assert set(table["claim"]) == set(CLAIMS)
    words = table.drop_duplicates("claim")["claim_verdict"]
    assert all(word in WORDS or word.startswith("depends on ") for word in words)
    ran = table[table["verdict"] != "not-run"]
    assert (ran["budget"] == "reduced").all(), "each verdict says on what budget it rests"
    own = units[units["scale"] == "difference"].groupby(["claim", "comparison", "task"])["effect"].mean()
    scored = ran[(ran["scale"] == "difference") & (ran["tasks_run"] == 1) & ran["effect"].notna()]
    assert len(scored) > 3
    for row in scored.itertuples():
        assert own[row.claim, row.comparison, row.tasks_named] == pytest.approx(row.effect)
    page = page_of(CATALOGUE, CLAIMS, table, "quick tier")
    for claim in CLAIMS.values():
        assert claim.title in page
        assert claim.says.strip() in page
        assert claim.reason.strip() in page


def test_a_claims_page_and_table_have_its_mutation_score_or_why_there_is_none(monkeypatch):
    monkeypatch.setattr(
        "bench.analysis.claims_table.scores_said",
        lambda trials: {"dema_macs": "2 of 20", "dema_q_dema_size": UNDECIDED},
    )
    said = {
        "dema_macs": "Mutation score: 2 of the 20 faults",
        "dema_q_dema_size": "Mutation score: none. At the budgets",
        "dema_parameters_in_atari": "Mutation score: none. No fault has been tried",
    }
    for name, line in said.items():
        own = {name: CLAIMS[name]}
        cells = rows("breakout", "dema", [100.0], "parameters_as_published")
        table, _ = tables_of(SUITE, own, cells, "quick")
        assert line in page_of(CATALOGUE, own, table, "quick tier")
        (shown,) = claims_shown(CATALOGUE, own, table)
        assert any(one.startswith(line) for one in shown.decided_by)


def test_every_claim_says_why_its_smallest_effect_counts():
    assert [name for name, claim in CLAIMS.items() if not claim.reason.strip()] == []


def test_a_verdict_on_numbers_by_older_code_is_marked_and_says_what_changed(monkeypatch):
    def changed(job):
        return ["bench.methods.dema"] if job.cell.method == "dema" and job.stage == "probe" else []

    monkeypatch.setattr("bench.analysis.claims_table.changed_since", changed)
    name = "dema_parameters_in_atari"
    cells = pd.concat([
        rows("breakout", method, [value], "parameters_as_published")
        for method, value in (("dt", 300.0), ("dema", 100.0))
    ])  # fmt: skip
    own = {name: CLAIMS[name]}
    table, _ = tables_of(SUITE, own, cells, "quick")
    assert set(table["changed"]) == {"bench.methods.dema"}
    page = page_of(CATALOGUE, own, table, "quick tier")
    assert "reduced, numbers by older code |" in page
    assert "Numbers stored before these changed: bench.methods.dema." in page
    (shown,) = claims_shown(CATALOGUE, own, table)
    assert shown.rests_on.endswith("numbers by older code")
