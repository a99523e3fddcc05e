"""What is out of date after an edit: exactly the cells that depend on it, and nothing else."""

import shutil

import pytest
from records import reseal

pytestmark = pytest.mark.slow


def test_nothing_runs_again_when_nothing_changed(suite):
    assert suite.would_run("all") == set()


def test_nothing_runs_again_without_snakemakes_own_notes(suite):
    shutil.rmtree(suite.root / ".snakemake")
    assert suite.would_run("all") == set()


@pytest.mark.parametrize("notes", [True, False], ids=["with .snakemake", "without .snakemake"])
def test_a_comment_reruns_nothing(suite, notes):
    suite.edit("bench/methods/ad.py", "class ADModel", "# A remark.\n\n\nclass ADModel")
    if not notes:
        shutil.rmtree(suite.root / ".snakemake")
    assert suite.would_run("dmh_fig02") == set()


@pytest.mark.parametrize("notes", [True, False], ids=["with .snakemake", "without .snakemake"])
def test_a_constant_of_one_method_reruns_that_methods_cells_alone(suite, notes):
    suite.edit("bench/methods/ad_mamba.py", "positions=False", "positions=True")
    if not notes:
        shutil.rmtree(suite.root / ".snakemake")
    rerun = suite.would_run("dmh_fig02")
    assert rerun == {
        "train ad-mamba/0",
        "train ad-mamba/1",
        "evaluate ad-mamba/0",
        "evaluate ad-mamba/1",
        "figure dmh_fig02",
    }


def test_a_constant_of_the_evaluation_does_not_train_again(suite):
    suite.edit("bench/evaluators/in_context.py", "number + 1.0", "number + 2.0")
    rerun = suite.would_run("dmh_fig02")
    assert {job.split()[0] for job in rerun} == {"evaluate", "figure"}
    assert len(rerun) == 5


def test_a_deleted_cell_is_made_again_alone(suite):
    shutil.rmtree(suite.root / "results/tiny/cells/darkroom/ad-mamba/default/seed-1")
    assert suite.would_run("dmh_fig02") == {"train ad-mamba/1", "evaluate ad-mamba/1", "figure dmh_fig02"}


def test_a_changed_budget_reruns_what_it_budgets(suite):
    suite.edit("workflow/tiers/tiny.yaml", "evaluation_episodes: 2", "evaluation_episodes: 3")
    rerun = suite.would_run("dema_table06")
    assert rerun == {"evaluate dt/0", "table dema_table06"}


def test_retry_runs_again_what_is_not_ok_and_nothing_else(suite):
    record = suite.root / "results/tiny/cells/darkroom/ad-mamba/default/seed-1/train.json"
    reseal(record, status="diverged: a test")
    again = suite.would_run("all", "retry=true")
    assert again >= {"train ad-mamba/1", "evaluate ad-mamba/1", "figure dmh_fig02", "cells", "health"}
    assert "train ad-mamba/0" not in again
    assert "train ad-mamba/1" not in suite.would_run("dmh_fig02")


def test_one_artifact_alone_can_be_retried(suite):
    record = suite.root / "results/tiny/cells/darkroom/ad-mamba/default/seed-1/evaluate.json"
    reseal(record, status="oom")
    assert suite.would_run("dmh_fig02", "retry=true") == {"evaluate ad-mamba/1", "figure dmh_fig02"}
    assert "evaluate ad-mamba/1" not in suite.would_run("dmh_fig02", "retry=false")
