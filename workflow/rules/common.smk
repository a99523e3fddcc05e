# Helpers of the rules: jobs from wildcards, what makes a result out of date, and what a job may take.
import math
import shlex
import time
from functools import cache
from pathlib import Path
from typing import get_args

from snakemake.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import ExecMode

from bench.work.progress import START_SECONDS, follow
from bench.work.cells import parse_slug
from bench.work.claims import load_claims
from bench.errors import UserError
from bench.work.fingerprint import fingerprint, fingerprint_parts
from bench.work.jobs import RESULTS, Job, all_jobs, dataset_job
from bench.catalogue.folders import VARIABLE as PAPERS
from bench.catalogue.load import load_catalogue
from bench.catalogue.models import StageName
from bench.work.regression import regressed_jobs
from bench.work.renderings import FIGURES, Rendering
from bench.work.reporting import report_files, report_inputs, template_hashes
from bench.catalogue.sources import VARIABLE
from bench.work.stored import VARIABLE as SOURCE
from bench.work.stored import from_store, stored_digest, stored_files

# Every command of the run reads these from its environment: see docs/data.md, docs/store.md, docs/extending.md.
if "data" in config:
    os.environ[VARIABLE] = str(config["data"] or "")
if "papers" in config:
    os.environ[PAPERS] = str(config["papers"] or "")
if "source" in config:
    os.environ[SOURCE] = str(config["source"] or "")
TIER = config.get("tier", "quick")
PYTHON = shlex.quote(sys.executable)
# A job's time limit: so many times its estimate, since processors differ, and never less than the minutes.
TIME_LIMIT, LEAST_MINUTES = 3, 10
# `snakemake retry`: results whose status is not ok count as out of date.
RETRY = "retry" in sys.argv[1:]

try:
    CATALOGUE = load_catalogue()
    TIER_SPENDS = CATALOGUE.tier(TIER)
    JOBS = all_jobs(TIER)
    CLAIMS = load_claims()
    # With `source=stored` every number is read from the committed store, and none is made.
    STORED = from_store()
    STORED_DIGEST = stored_digest(TIER)
    STORE = [str(path) for path in stored_files(TIER)] if STORED else []
except UserError as error:
    raise WorkflowError(f"error: {error}")


wildcard_constraints:
    tier="|".join(CATALOGUE.tiers),
    task="|".join(CATALOGUE.tasks),
    method="|".join(CATALOGUE.methods),
    settings=r"[a-z0-9_=,.+-]+",
    seed=r"\d+",
    artifact="|".join(CATALOGUE.artifacts),


def results(name):
    """A file of the tier's results."""
    return str(RESULTS / TIER / name)


def renderings(kind):
    """Every table or figure."""
    shown = [Rendering(TIER, name) for name in CATALOGUE.artifacts]
    return [one for one in shown if one.kind == kind]


def every_rendering(kind):
    """The files of every table or figure."""
    return [str(path) for one in renderings(kind) for path in one.outputs]


@cache
def named_job(stage, tier, task, method, settings, seed):
    """The job of these names, one object however often the graph asks: its fingerprint is then found once."""
    try:
        cell = parse_slug(task, method, settings)
        return (
            dataset_job(tier, cell)
            if stage == "dataset"
            else Job(stage, tier, cell, seed)
        )
    except UserError as error:
        raise WorkflowError(f"error: {error}")


def job_of(stage):
    """The job a rule's wildcards name."""

    def find(wildcards):
        named = (wildcards.tier, wildcards.task)
        if stage == "dataset":
            return named_job(stage, *named, "", wildcards.settings, 0)
        seed = int(wildcards.seed)
        return named_job(stage, *named, wildcards.method, wildcards.settings, seed)

    return find


def waits(job):
    """Whether a job has to run: out of date, missing, or not ok while `retry` is asked for."""
    if STORED:
        return False
    state = job.state
    if state not in ("current", "stored"):
        return True
    if not RETRY:
        return False
    record = job.stored if state == "stored" else job.recorded()
    return record["status"] != "ok"


def records(jobs):
    """The files from which the numbers of some jobs are read: their records, but for what the store holds."""
    return STORE or [
        str(job.record) for job in jobs if job.state != "stored" or waits(job)
    ]


def marker_if(out_of_date, tier, fingerprint, sidecar):
    """A file newer than a result that is out of date although it stands; nothing for any other.

    The sidecar is the truth, also without `.snakemake`: file times and Snakemake's own notes do
    not survive a copy, and do not see edits of imported modules. The marker's content differs
    each time, since Snakemake passes over a newer input whose checksum it knows. Each lies in a
    folder of its own: Snakemake lists a folder once, and takes for missing what is put there later.
    """
    if not (out_of_date and sidecar.exists()):
        return []
    marker = RESULTS / tier / ".markers" / fingerprint / "stale"
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text(str(time.time_ns()))
    return [str(marker)]


def stale(stage):
    """Input function: the marker of a job that stands and has to run again.

    What stands beside a stored result is out of date: nothing that needs it here may read it.
    """

    def find(wildcards):
        job = job_of(stage)(wildcards)
        out_of_date = waits(job) or (job.state == "stored" and not STORED)
        return marker_if(out_of_date, wildcards.tier, job.fingerprint, job.record)

    return find


def stale_rendering(wildcards):
    """Input function: the marker of a table or figure that stands and has to be made again.

    One that reads a job which has to run is out of date with it: Snakemake by itself would not
    notice a record that is missing behind a figure that stands.
    """
    shown = Rendering(wildcards.tier, wildcards.artifact)
    behind = any(waits(job) for job in shown.jobs)
    return marker_if(
        behind or shown.state != "current",
        wildcards.tier,
        shown.fingerprint,
        shown.outputs[-1],
    )


def stale_renderings(kind):
    """The markers of those tables or figures that stand and have to be made again."""
    return [
        path
        for one in renderings(kind)
        for path in marker_if(
            one.state != "current", TIER, one.fingerprint, one.outputs[-1]
        )
    ]


def before(stage):
    """Input function: the records of the jobs a job reads.

    One that stands is `ancient`: its fingerprint, and not its file time, says so. One that has to
    run is not, since Snakemake never looks at a job behind an ancient input that is made anew. One that
    only the store holds is run as well: the store keeps numbers, and what comes after needs checkpoints.
    """

    def find(wildcards):
        upstream = job_of(stage)(wildcards).upstream
        return [
            (
                str(job.record)
                if waits(job) or job.state == "stored"
                else ancient(str(job.record))
            )
            for job in upstream
        ]

    return find


def print_of(stage):
    """Params function: a job's fingerprint."""
    return lambda wildcards: job_of(stage)(wildcards).fingerprint


def minutes_of(stage):
    """Resources function: a job's time limit on a cluster in minutes, more after each failed attempt."""

    def find(wildcards, attempt):
        limit = math.ceil(TIME_LIMIT * job_of(stage)(wildcards).core_seconds / 60)
        return attempt * max(LEAST_MINUTES, limit)

    return find


def memory_of_attempt(wildcards, attempt):
    """Resources function: a job's memory limit on a cluster in MiB, more after each failed attempt."""
    return attempt * TIER_SPENDS.memory_mib


def expected_seconds(job):
    """What a job of the graph is expected to take: its estimate in the tier, and its process's start."""
    stages = get_args(StageName)
    work = (
        job_of(job.rule.name)(job.wildcards).core_seconds
        if job.rule.name in stages
        else 0.0
    )
    return START_SECONDS + work


def records_of(wildcards):
    """Input function: the records an artifact reads."""
    return records(Rendering(wildcards.tier, wildcards.artifact).jobs)


def stale_claims(wildcards):
    """Input function: the marker of claims that stand although cells behind them have to run."""
    behind = any(waits(job) for job in JOBS)
    return marker_if(behind, TIER, "claims", Path(results("claims.csv")))


def regressed_records():
    """The records that `regress` compares with the store; none, for its message, where that is the source."""
    if STORED:
        return []
    try:
        return [str(job.record) for job in regressed_jobs(TIER)]
    except UserError as error:
        raise WorkflowError(f"error: {error}")


onstart:
    # A job of a cluster is a Snakemake as well: the run that submitted it says how far it is.
    if workflow.exec_mode == ExecMode.DEFAULT:
        follow(workflow.dag, expected_seconds)
