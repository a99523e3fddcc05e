"""Export a finished run as an RO-Crate: `python -m bench crate --tier quick`.

Writes `results/<tier>/crate.zip`, or what `--output` names. A command of its own and no rule, since it needs
the optional library `rocrate`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pandas as pd
import typer

from bench.analysis.completeness import finished_jobs
from bench.analysis.crate import VERSION, fill, results_of, sealed_of
from bench.errors import UserError, exit_with_message
from bench.work.gathered import checked
from bench.work.jobs import RESULTS, Job
from bench.work.renderings import Rendering
from bench.work.suite import Suite

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate


def empty_crate() -> ROCrate:
    """A crate without files; UserError where the library is not installed."""
    try:
        from rocrate.rocrate import ROCrate
    except ModuleNotFoundError:
        raise UserError(
            "package rocrate: not installed, and nothing else here writes an RO-Crate. Install it: "
            "python -m pip install -c constraints.txt -e '.[crate]'"
        ) from None
    return ROCrate(version=VERSION, gen_preview=True)


def check_shown(suite: Suite, tier: str, jobs: list[Job]) -> None:
    """Raise UserError where something that shows the run is missing or made from other records than these."""
    remedy = f"Run: snakemake all --config tier={tier}"
    for path in results_of(suite, tier):
        if not path.exists():
            raise UserError(f"{path}: missing, so this run is not finished. {remedy}")
    for name in suite.catalogue.artifacts:
        rendering = Rendering(suite, tier, name)
        if rendering.state != "current":
            raise UserError(f"{rendering.outputs[-1]}: {name} is {rendering.state}. {remedy}")
    for files in sealed_of(suite, tier):
        checked(files, remedy)
    path = RESULTS / tier / "cells.csv"
    # Two jobs may have one fingerprint, but a job that ran anew has another than before.
    gathered = set(pd.read_csv(path, usecols=["fingerprint"])["fingerprint"])
    if gathered != {job.fingerprint for job in jobs if job.row.in_cells}:
        raise UserError(f"{path}: column fingerprint: made from other records than this run's. {remedy}")


def check_output(output: Path) -> None:
    """Raise UserError where a crate would overwrite or be mixed with something that is none."""
    if output.suffix == ".zip":
        if output.is_dir():
            raise UserError(f"option --output: {output} is a folder. Name a .zip that is none.")
    elif output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(
            f"option --output: {output} exists and is no empty folder. Name a new folder, or a .zip, which "
            "is written anew."
        )


@exit_with_message
def main(
    tier: Annotated[str, typer.Option(help="quick, cpu or paper")],
    output: Annotated[
        Path | None, typer.Option(help="a .zip, or a new folder; default results/<tier>/crate.zip")
    ] = None,
) -> None:
    """Write the crate; UserError, and nothing written, where the run is not finished or is out of date."""
    suite = Suite.from_environment()
    suite.catalogue.tier(tier)
    suite.source.refuse_store(
        "a crate is of a run and of the code that made it, and the store may hold numbers by older code"
    )
    target = output or RESULTS / tier / "crate.zip"
    check_output(target)
    crate = empty_crate()
    # A tier that takes results of the store as done takes those alone that the code at hand would make again.
    jobs = finished_jobs(suite, tier, ("current", "stored"))
    check_shown(suite, tier, jobs)
    fill(crate, suite, tier, {job.key: job.result for job in jobs})
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".crate-") as beside:
        made = Path(beside) / target.name
        if target.suffix == ".zip":
            crate.write_zip(made)
        else:
            crate.write(made)
        made.replace(target)
    print(f"{len(crate.data_entities)} files, records of {len(jobs)} jobs: {target}")
