"""A table shows the printed value, ours with its interval, and the verdict; its CSV says the rest."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from suites import CATALOGUE, SUITE

from bench.analysis.latex import to_latex
from bench.analysis.readings import Reading, read_entry
from bench.analysis.reported import load_reported
from bench.analysis.statistics import summarise
from bench.analysis.tables import long_table, to_markdown
from bench.catalogue.models import SELECTIONS
from bench.work.renderings import Rendering

SCORES = Rendering(SUITE, "quick", "dmh_table02")
PRINTED = load_reported(CATALOGUE, CATALOGUE.reported)


def filled(entry, scores=(70.0, 74.0, 78.0), best=None):
    mean = float(np.mean(scores))
    selections = dict.fromkeys(SELECTIONS, mean) | {"best": best or mean}
    return Reading(entry, "ok", summarise(scores), scores=scores, selections=selections)


def table_of(rendering, fill):
    """The long table, `fill` giving a reading or None for the reason it is not run."""
    readings = [fill(entry) or Reading(entry, "not-run: needs the cpu tier") for entry in rendering.entries]
    return long_table(rendering, readings, PRINTED)


def row_of(table, method, task):
    return table[(table["method"] == method) & (table["task"] == task)].iloc[0]


def hopper_medium(entry):
    return filled(entry) if entry.cell.task == "hopper-medium" else None


def test_a_number_stands_beside_the_printed_one_with_its_verdict():
    table = table_of(SCORES, hopper_medium)
    row = row_of(table, "ad-mamba", "hopper-medium")
    assert (row["reported"], row["reported_spread"]) == ("73.65", "1.23 (s.e., 10 seeds)")
    assert (row["ours"], row["n"], row["verdict"]) == (74.0, 3, "stand-in")
    assert row["difference"] == pytest.approx(0.35)
    assert row_of(table, "ad-mamba", "walker2d-medium")["verdict"] == "not-run"
    text = to_markdown(SCORES, table, "DM-H Table 2\nquick tier")
    assert "74.0 [64.1, 83.9] n=3, stand-in" in text
    assert re.search(r"^Results: (.*, )?\d+ not-run(, |\.)", text, re.MULTILINE)
    assert "Settings: " not in text
    assert "stand-in" in to_latex(CATALOGUE, table, "DM-H Table 2\nquick tier")


@pytest.mark.parametrize(
    ("scores", "status", "shown"),
    [
        ((25.5, 28.1), "ok", "25.5, 28.1 (2 seeds), stand-in"),
        ((25.5, 28.1), "ok, 2 of 3 seeds", "25.5, 28.1 (2 of 3 seeds), stand-in"),
        ((25.5,), "ok", "25.5 n=1, stand-in"),
        ((25.5,), "ok, 1 of 3 seeds", "25.5 (1 of 3 seeds), stand-in"),
        ((70.0, 74.0, 78.0), "ok, 3 of 5 seeds", "74.0 [64.1, 83.9] (3 of 5 seeds), stand-in"),
    ],
)
def test_fewer_than_three_seeds_stand_one_by_one_and_have_no_interval(scores, status, shown):
    def fill(entry):
        return replace(filled(entry, scores), status=status) if entry.cell.task == "hopper-medium" else None

    table = table_of(SCORES, fill)
    row = row_of(table, "ad-mamba", "hopper-medium")
    assert math.isnan(row["low"]) == math.isnan(row["high"]) == (len(scores) < 3)
    assert [float(score) for score in row["each_seed"].split()] == list(scores)
    assert f"| {shown} " in to_markdown(SCORES, table, "title\n")
    assert shown.replace("[", "{[}") in to_latex(CATALOGUE, table, "Title\ntier")


def test_what_stands_in_many_cells_is_said_once_below():
    text = to_markdown(SCORES, table_of(SCORES, hopper_medium), "title\n")
    assert text.count("needs the cpu tier") == 1
    assert text.count("– <sup>a</sup>") > 8
    assert "<sup>a</sup> needs the cpu tier." in text
    assert "unreported" not in text.split("Results:")[0]


def test_a_baselines_cell_that_the_paper_borrows_is_marked_and_the_mark_explained():
    borrowed = Rendering(SUITE, "quick", "dema_table06")
    table = table_of(borrowed, lambda _: None)
    assert row_of(table, "cql", "hopper-medium")["reported_as"] == "cited"
    text = to_markdown(borrowed, table, "title\n")
    assert "58.5 (cited)" in text
    assert "77.1 (quoted)" in text
    assert "Reported (cited): a cell of the baseline's own paper" in text
    own = to_markdown(SCORES, table_of(SCORES, hopper_medium), "title\n")
    assert "73.65 ± 1.23 (s.e., 10 seeds) " in own
    assert "Reported (" not in own


def test_the_verdict_rests_on_the_data_of_the_record_and_not_on_what_is_at_hand():
    """As where a store is read while BENCH_DATA is set, or real numbers are read without it."""
    tasks = list(dict.fromkeys(entry.cell.task for entry in SCORES.entries))

    def rests_on(entry):
        return replace(
            filled(entry), data_source="real" if entry.cell.task == "hopper-medium" else "stand-in"
        )

    table = table_of(SCORES, rests_on)
    own = table[table["method"] == "dt"].set_index("task")
    assert own.loc["hopper-medium", ["verdict", "data_source"]].tolist() == ["reduced", "real"]
    assert {own.loc[task, "verdict"] for task in tasks if task != "hopper-medium"} == {"stand-in"}
    assert own.loc["average", ["verdict", "data_source"]].tolist() == ["stand-in", "real and stand-in"]


def test_an_inconclusive_number_says_how_many_seeds_would_settle_it():
    table = table_of(SCORES, hopper_medium)
    here = (table["method"] == "dt") & (table["task"] == "hopper-medium")
    table.loc[here, ["verdict", "seeds_needed"]] = ["inconclusive", 12]
    assert "n=3, inconclusive (n = 12 needed)" in to_markdown(SCORES, table, "title\n")


def test_the_average_has_an_interval_and_a_verdict_where_every_task_has_a_number():
    assert row_of(table_of(SCORES, hopper_medium), "dmh", "average")["verdict"] == "not-run"
    whole = row_of(table_of(SCORES, filled), "dmh", "average")
    assert (whole["reported"], whole["ours"], whole["n"], whole["verdict"]) == ("87.53", 74.0, 3, "stand-in")
    single = summarise([70.0, 74.0, 78.0])
    # Nine tasks of equal noise: a third of one task's standard error, with more degrees of freedom.
    assert 0 < whole["high"] - 74.0 < (single.high - 74.0) / 3
    assert math.isnan(row_of(table_of(SCORES, lambda e: filled(e, (3.0,))), "dmh", "average")["low"])


def test_the_interquartile_mean_of_tasks_and_seeds_has_a_bootstrap_interval():
    assert not (table_of(SCORES, hopper_medium)["task"] == "interquartile-mean").any()
    row = row_of(table_of(SCORES, filled), "dt", "interquartile-mean")
    assert (row["ours"], row["n"]) == (74.0, 27)
    assert 70.0 < row["low"] < 74.0 < row["high"] < 78.0
    again = row_of(table_of(SCORES, filled), "dt", "interquartile-mean")
    assert (row["low"], row["high"]) == (again["low"], again["high"])


def test_what_other_checkpoints_give_is_in_the_csv_and_in_a_footnote():
    same = table_of(SCORES, hopper_medium)
    assert "other checkpoints" not in to_markdown(SCORES, same, "title\n")
    differing = table_of(SCORES, lambda e: filled(e, best=80.0) if e.cell.method == "dt" else None)
    assert row_of(differing, "dt", "hopper-medium")[list(SELECTIONS)].tolist() == [74.0, 80.0, 74.0]
    assert "best +6.00 on average, +6.00 at most" in to_markdown(SCORES, differing, "title\n")


def test_a_hyper_parameter_is_compared_with_the_printed_one():
    settings = Rendering(SUITE, "quick", "dmh_table03")
    table = long_table(settings, [read_entry(entry, "quick") for entry in settings.entries], PRINTED)
    verdicts = table.set_index(["metric", "task"])["verdict"]
    assert verdicts["heads", "darkroom"] == "disagrees", "three heads are printed and cannot be built"
    assert verdicts["embedding_dim", "darkroom"] == "agrees"
    text = to_markdown(settings, table, "title\n")
    assert "1, disagrees" in text
    assert re.search(r"^Settings: .*\b\d+ agrees", text, re.MULTILINE)
    assert set(table["kind"]) == {"setting"}


def test_what_a_paper_leaves_open_names_the_artifacts_that_vary_it():
    readings = {tier: Rendering(SUITE, tier, "dema_table06") for tier in ("quick", "cpu")}
    texts = {
        tier: to_markdown(rendering, table_of(rendering, lambda _: None), "title\n")
        for tier, rendering in readings.items()
    }
    assert re.search(r"`context_length`\).*varied in .*`dema_fig03`", texts["cpu"])
    assert not re.search(r"`context_length`\).*varied in .*`dema_fig03`", texts["quick"])
    assert re.search(r"`environment_version`\).*; not varied in this tier", texts["cpu"])


def test_a_number_of_older_code_has_a_mark_and_its_footnote_names_what_changed():
    def fill(entry):
        return replace(filled(entry), changed=("bench.nn.scan", "option updates: 300 -> 600"))

    text = to_markdown(SCORES, table_of(SCORES, fill), "title\n")
    assert "74.0 [64.1, 83.9] n=3, stand-in †" in text
    assert "† Stored before these changed: bench.nn.scan, option updates: 300 -> 600." in text
    assert "†" not in to_markdown(SCORES, table_of(SCORES, filled), "title\n")
