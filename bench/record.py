"""What every stage writes: `<stage>.csv` (tidy numbers) and `<stage>.json` (the sidecar).

Both are written beside their place and moved in at the end, the sidecar last, so that a killed
run leaves either the whole result or none. A result that could not be had is data as well:
its status says why, its table is empty, and the command ends normally.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from bench.devices import hold_device
from bench.spec.cells import parse_slug
from bench.spec.errors import UnavailableError, UserError, exit_with_message
from bench.spec.jobs import Job, dataset_job
from bench.spec.load import ROOT, load_catalogue
from bench.spec.models import StageName
from bench.spec.sources import VARIABLE, assignment

COLUMNS = ("metric", "step", "index", "value")
Rows = list[tuple[str, int, float, float]]
Work = Callable[[Job], tuple[Rows, dict[str, Any]]]


class SkippedError(Exception):
    """Work that has no point because what it builds on did not succeed."""


def require_ok(what: str, status: str) -> None:
    """Pass where the record of `what` says `ok`.

    Raises UnavailableError where that is not to be had on this machine, so that the reason stands by every
    number that rests on it, and SkippedError for any other status.
    """
    if status.startswith("unavailable: "):
        raise UnavailableError(status.removeprefix("unavailable: "))
    if status != "ok":
        raise SkippedError(f"{what} is {status}")


class DivergedError(Exception):
    """A loss that is no longer a finite number."""


def write_atomically(path: Path, text: str) -> None:
    """Write beside the file, then move into its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


def run(job: Job, work: Work) -> None:
    """Do the work of a job and write its record, whatever comes of it.

    Raises UserError, before anything is written, for what the user has to mend.
    """
    _check_data(job)
    # Evaluation and probes stay on the CPU. Waiting for a GPU is no part of what the work takes.
    gpu = hold_device() if job.stage == "train" else ""
    started, clock, cpu = datetime.now(UTC), time.perf_counter(), time.process_time()
    rows: Rows = []
    facts: dict[str, Any] = {}
    try:
        rows, facts = work(job)
        status = "ok"
    except UserError:
        raise
    except DivergedError as error:
        status = f"diverged: {error}"
    except UnavailableError as error:
        status = f"unavailable: {error}"
    except SkippedError as error:
        status = f"skipped: {error}"
    except MemoryError:
        status = "oom"
    except Exception as error:
        # A bug is data too, so that the tables still render; the `health` rule makes the run fail.
        traceback.print_exc()
        status = "oom" if _is_out_of_memory(error) else f"failed: {type(error).__name__}: {error}"
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_atomically(job.table, table.to_csv(index=False, lineterminator="\n"))
    sidecar = {
        "status": status,
        **_identity(job),
        "facts": facts,
        "gpu": gpu,
        "seconds": round(time.perf_counter() - clock, 3),
        "cpu_seconds": round(time.process_time() - cpu, 3),
        # What the process had used before the work began: Python's start and its imports.
        "start_cpu_seconds": round(cpu, 3),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "started": started.isoformat(timespec="seconds"),
        **_provenance(),
        "parts": job.parts,
    }
    write_atomically(job.record, json.dumps(sidecar, indent=1) + "\n")
    print(f"{job.stage} {job.cell.key} seed {job.seed}: {status} in {sidecar['seconds']} s")


def _check_data(job: Job) -> None:
    """Raise UserError where what the job reads was made from another kind of data than it is given now."""
    now = load_catalogue().tasks[job.cell.task].data_source
    for before in job.upstream:
        used = (before.recorded() or {}).get("data_source", now)
        if used != now:
            raise UserError(
                f"{before.record}: key data_source: it rests on {used} data, but this command was given "
                f"{now} data (environment variable {VARIABLE}: {os.environ.get(VARIABLE) or 'not set'}). Set "
                "the variable as it was, or let Snakemake make anew what is out of date."
            )


def _is_out_of_memory(error: Exception) -> bool:
    """Whether torch ran out of memory: a type of its own on a GPU, a plain RuntimeError on a CPU."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def _identity(job: Job) -> dict[str, Any]:
    return {
        "stage": job.stage,
        "tier": job.tier,
        "task": job.cell.task,
        "method": job.cell.method,
        "settings": job.cell.slug,
        "seed": job.seed,
        "data_source": load_catalogue().tasks[job.cell.task].data_source,
        "fingerprint": job.fingerprint,
        "command": command(job),
    }


def command(job: Job) -> str:
    """The command that reruns a job."""
    words = ["python", "-m", f"bench.{job.stage}", "--tier", job.tier, "--task", job.cell.task]
    if job.cell.method:
        words += ["--method", job.cell.method, "--seed", str(job.seed)]
    data = assignment() if load_catalogue().tasks[job.cell.task].given else ""
    return data + " ".join([*words, "--settings", f"'{job.cell.slug}'"])


def _provenance() -> dict[str, Any]:
    names = ("torch", "numpy", "numba", "gymnasium", "mujoco", "minari", "pandas", "fvcore")
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "git_commit": git_commit(),
        "versions": versions,
        "python": platform.python_version(),
        "platform": platform_name(),
    }


def git_commit() -> str:
    """The commit at hand, `+` behind it where the working tree differs; empty outside git."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return said.stdout.strip()


def platform_name() -> str:
    """Processor and system: results are compared exactly only where this is the same."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return f"{model}, {platform.system()} {platform.machine()}"


def stage_command(stage: StageName, work: Work) -> None:
    """Run a stage's command line: one cell, one seed."""

    @exit_with_message
    def main(
        tier: Annotated[str, typer.Option(help="quick, cpu or paper")],
        task: Annotated[str, typer.Option(help="a task of workflow/tasks")],
        method: Annotated[str, typer.Option(help="a method of workflow/methods; none for a dataset")] = "",
        settings: Annotated[str, typer.Option(help="key=value,... or default")] = "default",
        seed: Annotated[int, typer.Option(min=0, help="replicate")] = 0,
    ) -> None:
        load_catalogue().tier(tier)
        cell = parse_slug(task, method, settings)
        run(dataset_job(tier, cell) if stage == "dataset" else Job(stage, tier, cell, seed), work)

    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    typer.run(main)
