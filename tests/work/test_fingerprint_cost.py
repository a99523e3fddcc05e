"""A dry run asks for thousands of fingerprints; together they may take seconds."""

import time

from suites import SUITE

from bench.work.plan import all_jobs


def test_the_paper_tiers_fingerprints_take_few_processor_seconds():
    begun = time.process_time()
    jobs = all_jobs(SUITE, "paper")
    assert len({job.fingerprint for job in jobs}) == len(jobs) > 5000
    # A dry run asks for each several times and may take a minute in all.
    assert time.process_time() - begun < 10
