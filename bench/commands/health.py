"""Say whether the code of any cell broke: `python -m bench health --tier quick`."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from bench.analysis.readings import record_of
from bench.catalogue.load import load_catalogue
from bench.errors import UserError, exit_with_message
from bench.files import write_atomically
from bench.work.jobs import RESULTS, all_jobs


@exit_with_message
def main(tier: Annotated[str, typer.Option(help="quick, cpu or paper")]) -> None:
    """Count the statuses of a tier's records; raise UserError naming the cells that failed."""
    load_catalogue().tier(tier)
    records = [(job, record_of(job)) for job in all_jobs(tier)]
    failed = [(job, record["status"]) for job, record in records if record["status"].startswith("failed")]
    if failed:
        named = "; ".join(
            f"{job.stage} of {job.cell.key} seed {job.seed} ({status})" for job, status in failed[:5]
        )
        raise UserError(
            f"{len(failed)} of {len(records)} jobs broke: {named}. Read {failed[0][0].folder}/"
            f"{failed[0][0].stage}.log, mend the cause, then run: "
            f"snakemake all --config tier={tier} retry=true"
        )
    counts = Counter(record["status"].split(":")[0] for _, record in records)
    write_atomically(
        RESULTS / tier / "health.txt", "".join(f"{name} {n}\n" for name, n in sorted(counts.items()))
    )
