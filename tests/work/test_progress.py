"""The tally of a run: what is done, and what is left by the plan and by how fast the run really is."""

import pytest

from bench.work.progress import Tally, duration


@pytest.fixture
def tally():
    """Four jobs, planned for 10, 10, 20 and 60 seconds; the run began at 1000."""
    return Tally({1: 10.0, 2: 10.0, 3: 20.0, 4: 60.0}, begun=1000.0)


def test_before_anything_is_done_no_time_is_promised(tally):
    assert tally.remaining(1000.0) is None
    assert tally.said(1000.0) == "0 of 4 jobs done, 0 running, 0 failed; 0% of the planned work in 0 s"


def test_the_time_left_follows_how_fast_finished_jobs_were(tally):
    tally.start([1], 1000.0)
    tally.finish(1)
    # Planned for 10 seconds, took 20: the other 90 will take 180.
    assert tally.remaining(1020.0) == pytest.approx(180.0)


def test_jobs_side_by_side_shorten_the_time_left(tally):
    tally.start([1, 2], 1000.0)
    tally.finish(1)
    tally.finish(2)
    assert tally.remaining(1010.0) == pytest.approx(40.0)


def test_a_running_job_counts_for_what_was_planned_of_it_at_most(tally):
    tally.start([1], 1000.0)
    assert tally.share(1005.0) == pytest.approx(0.05)
    assert tally.share(1500.0) == pytest.approx(0.10)


def test_a_failed_job_is_counted_until_it_starts_again(tally):
    tally.start([3], 1000.0)
    tally.finish(3, failed=True)
    assert "0 running, 1 failed" in tally.said(1001.0)
    tally.start([3], 1002.0)
    assert "1 running, 0 failed" in tally.said(1003.0)


def test_targets_without_work_are_no_jobs(tally):
    tally.start([99], 1000.0)
    tally.finish(99)
    assert tally.said(1010.0).startswith("0 of 4 jobs done, 0 running")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (61, "1 min"),
        (3599, "1 h 0 min"),
        (12000, "3 h 20 min"),
        (5 * 86400, "5 days"),
    ],
)
def test_durations_read_as_they_are_said(seconds, said):
    assert duration(seconds) == said
