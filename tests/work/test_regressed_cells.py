"""The list of cells that `regress` trains anew, and what a user reads who made a mistake in it."""

import pytest
from suites import SUITE

from bench.errors import UserError
from bench.work.regression import counted_jobs, regressed_jobs
from bench.work.suite import Suite


def test_the_quick_tiers_cells_cover_the_room_the_maze_and_hopper():
    jobs = regressed_jobs(SUITE, "quick")
    assert {job.stage for job in jobs} == {"train", "evaluate"}
    assert {job.cell.task for job in jobs} == {"darkroom", "tmaze-passive-10", "hopper-medium"}
    # Their cost by the tier's own estimate, on top of three datasets.
    assert sum(job.core_seconds for job in jobs) <= 130


def test_every_probe_is_counted_and_a_tier_that_is_not_named_trains_nothing():
    assert len(counted_jobs(SUITE, "quick")) == 129
    assert regressed_jobs(SUITE, "paper") == []
    assert counted_jobs(SUITE, "paper")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "quick: [{task: darkroom, method: dmm}]",
            "regress.yaml: key quick.0: unknown method 'dmm'. Did you",
        ),
        (
            "quick: [{task: darkrom, method: dmh}]",
            "regress.yaml: key quick.0: unknown task 'darkrom'. Did you",
        ),
        ("quick: [{task: darkroom, method: dpt}]", "darkroom/dpt/default has no number in the quick tier"),
        ("quik: []", "unknown tier 'quik'. Did you mean 'quick'"),
        ("quick: [{task: darkroom, method: dmh, sead: 1}]", "key quick.0.sead"),
        ("quick: [{task: darkroom, method: dmh, seed: -1}]", "key quick.0.seed: Input should be greater"),
    ],
)
def test_a_mistake_in_the_list_is_named_with_its_remedy(copied_workflow, text, words):
    (copied_workflow / "regress.yaml").write_text(text + "\n")
    with pytest.raises(UserError) as caught:
        regressed_jobs(Suite.open(copied_workflow), "quick")
    assert words in str(caught.value)
