"""A dry run asks for thousands of fingerprints; together they may take seconds."""

import time

from bench.work.jobs import all_jobs


def test_the_paper_tiers_fingerprints_take_few_processor_seconds():
    begun = time.process_time()
    jobs = all_jobs("paper")
    assert len({job.fingerprint for job in jobs}) == len(jobs) > 5000
    # A dry run asks for each several times and may take a minute in all.
    assert time.process_time() - begun < 10
