"""What `regress` says of its findings: causes, what is stale, what to run again."""

import pytest
from suites import CATALOGUE, SUITE

from bench.analysis.regression import Comparison, Finding, Key
from bench.analysis.regression_page import Notes, page_of, summary_of
from bench.work.cells import parse_slug
from bench.work.jobs import Job

DT = Key("evaluate", "hopper-medium", "dt", "default", 0)
GONE = Key("evaluate", "hopper-medium", "no-longer-here", "default", 0)


def notes(stale=None, means=None, outdated=(), again="regress"):
    job = Job(SUITE, "evaluate", "quick", parse_slug(CATALOGUE, "hopper-medium", "dt", "default"), 0)
    return Notes("quick", {DT: job}, stale or {}, means or {}, list(outdated), again)


def alarm(*keys):
    return Finding(keys, "normalised_score", "30", "3", "improbable loss")


@pytest.mark.parametrize(
    ("stale", "means", "cause"),
    [
        ({}, {}, "none known: code, options and platform are the store's"),
        ({DT: ("bench.nn.scan", "option k: 1 -> 2")}, {}, "changed: bench.nn.scan, option k: 1 -> 2"),
        ({}, {DT: ["platform: a -> b"]}, "changed: platform: a -> b"),
        ({DT: ("package torch: 1 -> 2",)}, {DT: ["package torch: 1 -> 2"]}, "changed: package torch: 1 -> 2"),
    ],
)  # fmt: skip
def test_an_alarm_names_its_likely_cause(stale, means, cause):
    said = notes(stale, means)
    assert said.cause(alarm(DT)) == cause
    assert f"likely cause of hopper-medium/dt/default seed 0, evaluate: {cause}" in summary_of(
        Comparison([alarm(DT)]), said
    )


def test_the_page_gives_the_command_or_says_that_the_cell_is_gone():
    page = page_of(Comparison([alarm(DT), alarm(GONE)]), notes())
    assert "2 alarms" in page
    assert "`python -m bench evaluate --tier quick --task hopper-medium --method dt --seed 0" in page
    assert (
        "hopper-medium/no-longer-here/default seed 0, evaluate: the quick tier has no such cell any more"
        in page
    )


def test_stale_cells_are_gathered_by_what_changed():
    keys = [DT._replace(seed=seed, stage=stage) for seed in range(5) for stage in ("train", "evaluate")]
    said = notes(dict.fromkeys(keys, ("bench.nn.scan",)))
    (line,) = [line for line in summary_of(Comparison(), said) if line.startswith("stale")]
    assert "hopper-medium/dt/default seed 0 (train, evaluate); " in line
    assert line.endswith(" and 2 more; changed: bench.nn.scan")
    assert "seed 4 (train, evaluate); changed: bench.nn.scan" in page_of(Comparison(), said)


@pytest.mark.parametrize("again", ["regress", "all"])
def test_a_run_that_is_out_of_date_is_told_what_to_do(again):
    said = notes(outdated=notes().jobs.values(), again=again)
    for text in ("\n".join(summary_of(Comparison(), said)), page_of(Comparison(), said)):
        assert "1 records of the run are not what today's code would make" in text
        assert f"snakemake {again} --config tier=quick" in text


def test_what_was_compared_and_what_was_not_is_said():
    compared = Comparison(exact=80, intervals=2, margins=1, uncompared=181, taken=22)
    line = summary_of(compared, notes())[0]
    assert line.startswith("regress: no alarm in the quick tier: 80 numbers asked to be equal, 2 scores")
    assert "1 scores, of cells with one seed" in line
    assert "181 numbers of other platforms or seeds not compared" in line
    assert "22 jobs not run here but taken from the store, so not compared" in line
