"""The fingerprint of every job of a tier by this code: `python -m bench fingerprints --tier quick`.

One line of JSON a job: the job's key, then its fingerprint. `restamp` asks an earlier commit for these.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bench.errors import exit_with_message
from bench.work.plan import all_jobs
from bench.work.suite import Suite


@exit_with_message
def main(tier: Annotated[str, typer.Option(help="quick, cpu or paper")]) -> None:
    """Print the jobs of a tier with their fingerprints; makes nothing."""
    suite = Suite.from_environment()
    suite.catalogue.tier(tier)
    for job in all_jobs(suite, tier):
        print(json.dumps([list(job.key), job.fingerprint]))
