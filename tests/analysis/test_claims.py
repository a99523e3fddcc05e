"""A claim is tested pair by pair, on what a run has of it, and says what it found and on what."""

import numpy as np
import pandas as pd
import pytest
from suites import CATALOGUE, SUITE

from bench.analysis.claims import READING_FACTOR, Finding, claim_word, compare
from bench.analysis.report.overview import claims_shown
from bench.commands.claims import page_of, read_cells, table_of
from bench.errors import UserError
from bench.work.claims import Comparison, load_claims
from bench.work.stored import STORED

TASKS = ("hopper-medium", "walker2d-medium")
DEMA, DT = {"method": "dema"}, {"method": "dt"}


def comparison(first=DEMA, second=DT, metric="normalised_score", expect="more", smallest=1.0, tasks=TASKS):
    return Comparison.model_validate({
        "label": "made up", "tasks": tasks, "metric": metric, "first": first, "second": second,
        "expect": expect, "smallest": smallest,
    })  # fmt: skip


def rows(task, method, values, metric="normalised_score", settings="default", step=10):
    """Rows of a cell, one a seed; `values` are those of seeds 0, 1, ... or {seed: value}."""
    by_seed = values if isinstance(values, dict) else dict(enumerate(values))
    return pd.DataFrame([
        {"task": task, "method": method, "settings": settings, "seed": seed, "step": step, "index": 0.0,
         "metric": metric, "value": value, "status": "ok", "data_source": "stand-in", "budget": "reduced"}
        for seed, value in by_seed.items()
    ])  # fmt: skip


def answer(asked, *frames):
    return compare(CATALOGUE, asked, pd.concat(frames, ignore_index=True), "quick")


def test_seeds_and_tasks_are_paired_so_that_what_both_sides_share_is_no_noise():
    shared = np.random.default_rng(0).normal(0.0, 30.0, size=(2, 3))
    gains = np.array([[4.0, 5.0, 6.0], [4.5, 5.0, 5.5]])
    found = answer(
        comparison(),
        *(rows(task, "dt", 50 + noise) for task, noise in zip(TASKS, shared, strict=True)),
        *(rows(task, "dema", 50 + noise + g) for task, noise, g in zip(TASKS, shared, gains, strict=True)),
    )
    assert found.word == "supported"
    assert found.effect == pytest.approx(5.0)
    assert (found.pairs, found.tasks) == (6, 2)
    assert 4.0 < found.low < 5.0 < found.high < 6.0
    assert (found.data_source, found.budget) == ("stand-in", "reduced")
    assert 0.0 <= found.probability_of_improvement <= 1.0


@pytest.mark.parametrize(
    ("difference", "expect", "smallest", "wanted"),
    [
        (5.0, "more", 1.0, "supported"),
        (5.0, "more", 8.0, "contradicted"),
        (5.0, "more", 5.0, "inconclusive"),
        (-5.0, "more", 1.0, "contradicted"),
        (-0.5, "more", -1.0, "supported"),
        (0.5, "equal", 2.0, "supported"),
        (5.0, "equal", 2.0, "contradicted"),
        (-5.0, "equal", 2.0, "contradicted"),
        (2.0, "equal", 2.0, "inconclusive"),
    ],
)
def test_the_whole_interval_has_to_lie_on_one_side_of_what_counts(difference, expect, smallest, wanted):
    steps = difference + np.array([-0.2, 0.0, 0.2])
    found = answer(
        comparison(expect=expect, smallest=smallest, tasks=TASKS[:1]),
        rows(TASKS[0], "dt", [10.0, 40.0, 80.0]),
        rows(TASKS[0], "dema", np.array([10.0, 40.0, 80.0]) + steps),
    )
    assert found.word == wanted


def test_sides_that_do_not_differ_are_rarely_said_to():
    generator, words = np.random.default_rng(3), []
    asked = comparison(smallest=0.0, tasks=TASKS[:1])
    for _ in range(100):
        both = [rows(TASKS[0], m, generator.normal(50.0, 8.0, size=4)) for m in ("dema", "dt")]
        words.append(answer(asked, *both).word)
    # 2.5 % either way; four standard errors of that in 100 trials are six points.
    assert words.count("supported") <= 8
    assert words.count("contradicted") <= 8
    assert words.count("inconclusive") >= 84


def test_only_seeds_that_both_sides_have_are_compared():
    found = answer(
        comparison(tasks=TASKS[:1]),
        rows(TASKS[0], "dt", {0: 1.0, 1: 2.0, 2: 3.0, 3: 900.0}),
        rows(TASKS[0], "dema", {0: 6.0, 1: 7.0, 2: 8.1, 4: -900.0}),
    )
    assert (found.pairs, found.word) == (3, "supported")
    assert found.effect == pytest.approx(5.0 + 0.1 / 3)


def test_two_pairs_are_too_few_for_a_verdict():
    found = answer(
        comparison(tasks=TASKS[:1]), rows(TASKS[0], "dt", [1.0, 2.0]), rows(TASKS[0], "dema", [51.0, 52.0])
    )
    assert (found.word, found.effect) == ("inconclusive", 50.0)
    assert np.isnan(found.low)
    assert found.why == "2 pairs; an interval takes 3"


def test_a_score_is_read_at_the_checkpoint_of_its_protocol():
    found = answer(
        comparison(tasks=TASKS[:1]),
        rows(TASKS[0], "dt", [1.0, 2.0, 3.0]),
        rows(TASKS[0], "dema", [90.0, 91.0, 92.0], step=5),
        rows(TASKS[0], "dema", [3.0, 4.0, 5.0], step=10),
    )
    assert found.effect == pytest.approx(2.0)


def test_counts_are_exact_and_times_are_trusted_within_a_factor():
    counts = [rows(TASKS[0], m, [v], "parameters") for m, v in (("dt", 400.0), ("dema", 100.0))]
    asked = {"first": DT, "second": DEMA, "tasks": TASKS[:1]}
    exact = answer(comparison(metric="parameters", smallest=3.9, **asked), *counts)
    assert (exact.word, exact.effect, exact.low, exact.high) == ("supported", 4.0, 4.0, 4.0)
    assert exact.data_source == "", "a count does not depend on the data"
    times = [rows(TASKS[0], m, [v], "training_hours") for m, v in (("dt", 1.2), ("dema", 1.0))]
    close = answer(comparison(metric="training_hours", smallest=1.0, **asked), *times)
    assert (close.word, close.effect) == ("inconclusive", pytest.approx(1.2))
    assert close.low == pytest.approx(1.2 / READING_FACTOR)


def test_a_ratio_over_tasks_is_the_geometric_mean():
    found = answer(
        comparison(first=DT, second=DEMA, metric="macs", smallest=1.0),
        *(rows(TASKS[0], m, [v], "macs") for m, v in (("dt", 8.0), ("dema", 1.0))),
        *(rows(TASKS[1], m, [v], "macs") for m, v in (("dt", 1.0), ("dema", 2.0))),
    )
    assert found.effect == pytest.approx(2.0)


def test_growth_is_compared_with_growth():
    def at(method, steps):
        return {"method": method, "settings": {"context_length": steps}}

    asked = comparison(
        first=at("dt", 160) | {"against": at("dt", 40)}, second=at("dema", 160) | {"against": at("dema", 40)},
        metric="forward_milliseconds", smallest=1.0, tasks=TASKS[:1],
    )  # fmt: skip
    times = {("dt", 40): 1.0, ("dt", 160): 16.0, ("dema", 40): 3.0, ("dema", 160): 12.0}
    found = answer(
        asked,
        *(
            rows(TASKS[0], m, [v], "forward_milliseconds", f"context_length={k}")
            for (m, k), v in times.items()
        ),
    )
    assert (found.effect, found.word) == (pytest.approx(4.0), "supported")
    assert found.low == pytest.approx(4.0 / READING_FACTOR**2), "two ratios are trusted less than one"


def test_a_loss_is_compared_with_a_loss_on_tasks_of_its_own():
    delayed = "hopper-medium-delayed"
    asked = comparison(
        first=DEMA | {"against": DEMA | {"tasks": TASKS[:1]}},
        second=DT | {"against": DT | {"tasks": TASKS[:1]}},
        tasks=[delayed],
    )
    found = answer(
        asked,
        rows(TASKS[0], "dema", [50.0, 51.0, 52.0]), rows(delayed, "dema", [48.0, 49.5, 49.9]),
        rows(TASKS[0], "dt", [50.0, 51.0, 52.0]), rows(delayed, "dt", [30.0, 31.0, 32.0]),
    )  # fmt: skip
    assert found.effect == pytest.approx((18.0 + 18.5 + 17.9) / 3)
    assert found.word == "supported"


def test_a_side_can_be_a_number_or_a_multiple():
    solved = answer(comparison(second=45.0, tasks=TASKS[:1]), rows(TASKS[0], "dema", [50.0, 50.1, 49.9]))
    assert (solved.word, solved.effect) == ("supported", pytest.approx(5.0))
    double = answer(
        comparison(second=DT | {"times": 2}, smallest=0.0, tasks=TASKS[:1]),
        rows(TASKS[0], "dema", [50.0, 50.1, 49.9]),
        rows(TASKS[0], "dt", [30.0, 30.1, 29.9]),
    )
    assert (double.word, double.effect) == ("contradicted", pytest.approx(-10.0))


def test_what_was_not_run_says_why():
    one_task = answer(comparison(), *(rows(TASKS[0], m, [1.0, 2.0, 3.0]) for m in ("dema", "dt")))
    assert (one_task.tasks, one_task.pairs) == (1, 3)
    none = answer(comparison(), rows("darkroom", "dmh", [1.0]))
    assert (none.word, none.tasks, none.why) == ("not-run", 0, "needs the cpu tier"), "Walker2d is run there"
    assert answer(comparison(tasks=TASKS[:1]), rows("darkroom", "dmh", [1.0])).why == "no record yet"
    gone = rows(TASKS[0], "dema", [np.nan], metric="").assign(status="unavailable: no policy")
    assert answer(comparison(tasks=TASKS[:1]), gone).why == "unavailable: no policy"
    later = answer(comparison(tasks=["breakout"], metric="gamer_normalised_score"), gone)
    assert later.why == "task breakout is not built yet"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["supported", "supported"], "supported"),
        (["supported", "contradicted"], "contradicted"),
        (["not-run", "contradicted"], "contradicted"),
        (["supported", "not-run"], "inconclusive"),
        (["supported", "inconclusive"], "inconclusive"),
        (["not-run", "not-run"], "not-run"),
    ],
)
def test_a_claim_holds_only_if_all_its_comparisons_do_and_falls_with_one(words, wanted):
    word, why = claim_word([Finding(comparison(), word, "cpu tier") for word in words])
    assert word == wanted
    assert bool(why) == (wanted != "supported")


def test_every_claim_of_the_papers_has_a_verdict_on_the_store():
    claims = load_claims(SUITE)
    assert 20 <= len(claims) <= 30
    table = table_of(SUITE, claims, pd.read_csv(STORED / "quick" / "cells.csv"), "quick")
    assert set(table["claim"]) == set(claims)
    verdicts = table.drop_duplicates("claim").set_index("claim")["claim_verdict"]
    assert set(verdicts) <= {"supported", "contradicted", "inconclusive", "not-run"}
    assert verdicts["dema_parameters_in_mujoco"] == "supported"
    assert verdicts["dema_attention_decays"] == "inconclusive", "one seed has no interval"
    assert verdicts["dema_parameters_in_atari"] == "supported", "counts need no data"
    assert verdicts["dema_macs"] == "contradicted", "by either convention of counting"
    ran = table[table["verdict"] != "not-run"]
    assert (ran["budget"] == "reduced").all(), "each verdict says on what budget it rests"
    page = page_of(CATALOGUE, claims, table, "quick tier")
    for claim in claims.values():
        assert claim.title in page
        assert claim.says.strip() in page


def test_a_verdict_on_numbers_by_older_code_is_marked_and_says_what_changed(monkeypatch):
    def changed(job):
        return ["bench.methods.dema"] if job.cell.method == "dema" and job.stage == "probe" else []

    monkeypatch.setattr("bench.commands.claims.changed_since", changed)
    claims = load_claims(SUITE)
    table = table_of(SUITE, claims, pd.read_csv(STORED / "quick" / "cells.csv"), "quick")
    marked = set(table.loc[table["changed"] != "", "claim"])
    assert "dema_parameters_in_mujoco" in marked
    assert "dema_attention_decays" not in marked
    assert set(table.loc[table["verdict"] == "not-run", "changed"]) <= {""}
    own = {"dema_parameters_in_mujoco": claims["dema_parameters_in_mujoco"]}
    page = page_of(CATALOGUE, own, table[table["claim"].isin(own)], "quick tier")
    assert "reduced, numbers by older code |" in page
    assert "† Rests on numbers stored before these changed: bench.methods.dema." in page
    (shown,) = claims_shown(own, table.astype(str))
    assert shown.rests_on.endswith("numbers by older code")


def test_cells_that_are_not_there_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"results/quick/cells.csv: missing, .* tier=quick.*source=stored"):
        read_cells("quick")
