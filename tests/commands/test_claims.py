"""Which numbers claims are tested on: those of the seeds that the budgets give."""

import pandas as pd
from suites import SUITE

from bench.commands.claims import of_budgets
from bench.work.plan import all_jobs

JOBS = [job for job in all_jobs(SUITE, "quick") if (job.cell.task, job.stage) == ("darkroom", "train")]


def rows_of(seeds):
    """A row for each training in a dark room, with each of these seeds."""
    cells = dict.fromkeys(job.cell for job in JOBS)
    return pd.DataFrame([
        {"task": cell.task, "method": cell.method, "settings": cell.slug, "seed": seed}
        for cell in cells
        for seed in seeds
    ])  # fmt: skip


def test_every_seed_of_a_budget_counts():
    given = rows_of(range(3))
    assert len(given) == len(JOBS) > 0
    pd.testing.assert_frame_equal(of_budgets(SUITE, "quick", given), given)


def test_seeds_that_were_added_to_settle_a_claim_do_not():
    left = of_budgets(SUITE, "quick", rows_of(range(10)))
    assert sorted(left["seed"].unique()) == [0, 1, 2]


def test_a_cell_that_no_budget_has_does_not_count():
    other = rows_of(range(3)).assign(settings="embedding_dim=8")
    assert of_budgets(SUITE, "quick", other).empty
