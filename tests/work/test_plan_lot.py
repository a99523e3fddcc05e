"""The lot that holds a plan against its cells: chains that end a training, one by its state among them."""

from __future__ import annotations

import pytest
from suites import SUITE

from bench.work.plan import must_jobs
from benchmarks.plan_lot import chain_of, is_recurrent, lot


@pytest.mark.parametrize("draw", range(5))
def test_a_lot_is_of_the_must_list_below_a_cost_and_has_a_cell_by_its_state(draw):
    drawn = lot(SUITE, "cpu", 4, 400.0, draw)
    must = set(must_jobs(SUITE, "cpu"))
    assert len(set(drawn)) == 4
    assert any(is_recurrent(job) for job in drawn)
    for job in drawn:
        chain = chain_of(job)
        assert [each.stage for each in chain[:2]] == ["dataset", "train"]
        assert chain[-1] == job
        assert sum(each.core_seconds for each in chain) < 400
        assert job in must or is_recurrent(job)
    assert drawn == lot(SUITE, "cpu", 4, 400.0, draw), "the same again"
