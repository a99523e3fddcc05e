"""The fingerprint of every job of a tier by this code: `python -m bench fingerprints --tier quick`.

One line of JSON a job: the job's key, then its fingerprint. `restamp` asks an earlier commit for these.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bench.catalogue.load import load_catalogue
from bench.errors import exit_with_message
from bench.work.jobs import all_jobs


@exit_with_message
def main(tier: Annotated[str, typer.Option(help="quick, cpu or paper")]) -> None:
    """Print the jobs of a tier with their fingerprints; makes nothing."""
    load_catalogue().tier(tier)
    for job in all_jobs(tier):
        print(json.dumps([list(job.key), job.fingerprint]))
