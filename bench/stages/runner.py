"""What every stage writes: `<stage>.csv` (tidy numbers) and `<stage>.json` (the sidecar).

Both are written beside their place and moved in at the end, the sidecar last, so that a killed
run leaves either the whole result or none. A result that could not be had is data as well:
its status says why, its table is empty, and the command ends normally.
"""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from bench.catalogue.sources import VARIABLE
from bench.errors import SpecError, UnavailableError, UserError, exit_with_message
from bench.files import write_atomically
from bench.stages.devices import hold_device
from bench.stages.gpu_use import gpu_use
from bench.work import numerics
from bench.work.availability import why_not_built
from bench.work.cells import parse_slug
from bench.work.integrity import described, files_below, sealed
from bench.work.jobs import Job, make_job
from bench.work.provenance import provenance
from bench.work.record import COLUMNS, OK, Facts, Record, Rows, Status
from bench.work.suite import Suite

Work = Callable[[Job], tuple[Rows, Facts]]
# What errors say when memory ran out: torch on a CPU, CUDA itself, and its libraries.
NO_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")


class SkippedError(Exception):
    """Work that has no point because what it builds on did not succeed."""


def require_ok(what: str, before: Job) -> None:
    """Pass where the record of `before`, which is `what` to a job that builds on it, says `ok`.

    Raises UnavailableError where that is not to be had on this machine, so that the reason stands by every
    number that rests on it, and SkippedError for any other status. Raises UserError where the record is
    damaged or of other code, options or data than the number would be noted under.
    """
    record = before.recorded()
    if record.status.has_failed and not record.is_made:
        raise UserError(f"{before.record}: {record.status.why}. {before.remedy}")
    if not record.is_made:
        raise SkippedError(f"{what} is not made")
    if record.fingerprint != before.fingerprint:
        raise UserError(
            f"{before.record}: key fingerprint: {what} was made by other code, options or data than now "
            f"({record.fingerprint}, and now {before.fingerprint}). Let Snakemake make anew what is out of "
            f"date: snakemake all --config tier={before.tier}"
        )
    if record.status.kind == "unavailable":
        raise UnavailableError(record.status.why)
    if not record.status.is_ok:
        raise SkippedError(f"{what} is {record.status}")


class DivergedError(Exception):
    """A loss that is no longer a finite number."""


def run(job: Job, work: Work) -> None:
    """Do the work of a job and write its record, whatever comes of it.

    Raises UserError, before anything is written, for what the user has to mend.
    """
    numerics.require()
    _check_data(job)
    # Evaluation and probes stay on the CPU. Waiting for a GPU is no part of what the work takes.
    gpu = hold_device() if job.row.gpu else ""
    started, clock, cpu = datetime.now(UTC), time.perf_counter(), time.process_time()
    rows: Rows = []
    facts: Facts = {}
    try:
        rows, facts = work(job)
        status = OK
    except UserError:
        raise
    except DivergedError as error:
        status = Status("diverged", str(error))
    except UnavailableError as error:
        status = Status("unavailable", str(error))
    except SkippedError as error:
        status = Status("skipped", str(error))
    except MemoryError:
        status = Status("oom")
    except Exception as error:
        # A bug is data too, so that the tables still render; the `health` rule makes the run fail.
        traceback.print_exc()
        why = f"{type(error).__name__}: {error}"
        status = Status("oom") if _is_out_of_memory(error) else Status("failed", why)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_atomically(job.table, table.to_csv(index=False, lineterminator="\n"))
    # Hashing what was left, and asking the GPU's driver, are no part of the work.
    seconds, cpu_seconds = time.perf_counter() - clock, time.process_time() - cpu
    record = Record(
        status=status,
        **_identity(job),
        files=described(job.folder, _left(job, status)),
        facts=facts,
        gpu=gpu,
        **gpu_use(),
        seconds=round(seconds, 3),
        cpu_seconds=round(cpu_seconds, 3),
        # What the process had used before the work began: Python's start and its imports.
        start_cpu_seconds=round(cpu, 3),
        peak_memory_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        started=started.isoformat(timespec="seconds"),
        **provenance(),
        parts=job.parts,
    )
    write_atomically(job.record, sealed(record.as_dict()))
    print(f"{job.stage} {job.cell.key} seed {job.seed}: {status} in {record.seconds} s")


def _left(job: Job, status: Status) -> list[Path]:
    """The files that a job has left: where it did not end well, its empty table alone."""
    if not status.is_ok:
        return [job.table]
    arrays = [job.arrays] if job.arrays.exists() else []
    kept = files_below(job.folder / job.row.keeps) if job.row.keeps else []
    return [job.table, *arrays, *kept]


def _check_data(job: Job) -> None:
    """Raise UserError where what the job reads was made from another kind of data than it is given now."""
    now = job.suite.catalogue.tasks[job.cell.task].data_source
    for before in job.upstream:
        used = before.recorded().data_source or now
        if used != now:
            raise UserError(
                f"{before.record}: key data_source: it rests on {used} data, but this command was given "
                f"{now} data (environment variable {VARIABLE}: {job.suite.catalogue.data or 'not set'}). Set "
                "the variable as it was, or let Snakemake make anew what is out of date."
            )


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: a type of torch's own, or a RuntimeError of torch, CUDA or its libraries."""
    return type(error).__name__ == "OutOfMemoryError" or any(words in str(error) for words in NO_MEMORY)


def _identity(job: Job) -> Facts:
    return {
        "stage": job.stage,
        "tier": job.tier,
        "task": job.cell.task,
        "method": job.cell.method,
        "settings": job.cell.slug,
        "seed": job.seed,
        "data_source": job.suite.catalogue.tasks[job.cell.task].data_source,
        "fingerprint": job.fingerprint,
        "command": job.command,
    }


def stage_command(stage: str, work: Work) -> Callable[..., None]:
    """The command of a stage, on one cell and one seed."""

    @exit_with_message
    def main(
        tier: Annotated[str, typer.Option(help="quick, cpu or paper")],
        task: Annotated[str, typer.Option(help="a task of workflow/tasks")],
        method: Annotated[str, typer.Option(help="a method of workflow/methods; none for a dataset")] = "",
        settings: Annotated[str, typer.Option(help="key=value,... or default")] = "default",
        seed: Annotated[int, typer.Option(min=0, help="replicate")] = 0,
    ) -> None:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        suite = Suite.from_environment()
        suite.catalogue.tier(tier)
        cell = parse_slug(suite.catalogue, task, method, settings)
        missing = why_not_built(suite.catalogue, stage, cell)
        if missing:
            raise SpecError(f"{cell.key}, stage {stage}: {missing}.")
        run(make_job(suite, stage, tier, cell, seed), work)

    return main
