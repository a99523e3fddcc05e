# Helpers of the rules: jobs from wildcards, and what makes a result out of date.
import shlex
from pathlib import Path

from snakemake.exceptions import WorkflowError

from bench.spec.cells import parse_slug
from bench.spec.errors import UserError
from bench.spec.jobs import RESULTS, Job, all_jobs, dataset_job
from bench.spec.load import load_catalogue
from bench.spec.regression import regressed_jobs
from bench.spec.renderings import FIGURES, Rendering

TIER = config.get("tier", "quick")
PYTHON = shlex.quote(sys.executable)
# `snakemake retry`: results whose status is not ok count as out of date.
RETRY = "retry" in sys.argv[1:]

try:
    CATALOGUE = load_catalogue()
    CATALOGUE.tier(TIER)
    JOBS = all_jobs(TIER)
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


def every_rendering(kind):
    """The files of every table or figure."""
    shown = [Rendering(TIER, name) for name in CATALOGUE.artifacts]
    return [str(path) for one in shown if one.kind == kind for path in one.outputs]


def job_of(stage):
    """The job a rule's wildcards name."""

    def find(wildcards):
        try:
            if stage == "dataset":
                cell = parse_slug(wildcards.task, "", wildcards.settings)
                return dataset_job(wildcards.tier, cell)
            cell = parse_slug(wildcards.task, wildcards.method, wildcards.settings)
            return Job(stage, wildcards.tier, cell, int(wildcards.seed))
        except UserError as error:
            raise WorkflowError(f"error: {error}")

    return find


def out_of_date(tier, thing, is_bad=False):
    """A file newer than the result where its fingerprint is not the one its sidecar holds, else nothing.

    The sidecar is the truth, also without `.snakemake`: file times and Snakemake's own notes do
    not survive a copy, and do not see edits of imported modules.
    """
    if thing.state != "stale" and not is_bad:
        return []
    marker = RESULTS / tier / ".stale" / thing.fingerprint
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    return [str(marker)]


def stale(stage):
    """Input function: the marker of `out_of_date` for a job."""

    def find(wildcards):
        job = job_of(stage)(wildcards)
        record = job.recorded() or {}
        return out_of_date(
            wildcards.tier, job, RETRY and record.get("status", "ok") != "ok"
        )

    return find


def stale_rendering(wildcards):
    """Input function: the marker of `out_of_date` for a table or figure."""
    tier = getattr(wildcards, "tier", TIER)
    return out_of_date(tier, Rendering(tier, wildcards.artifact))


def before(stage):
    """Input function: the records of the jobs a job reads."""
    return lambda wildcards: [
        str(job.record) for job in job_of(stage)(wildcards).upstream
    ]


def print_of(stage):
    """Params function: a job's fingerprint."""
    return lambda wildcards: job_of(stage)(wildcards).fingerprint


def records_of(wildcards):
    """Input function: the records an artifact reads."""
    return [
        str(job.record) for job in Rendering(wildcards.tier, wildcards.artifact).jobs
    ]


def regressed_records():
    """The records `regress` compares with the store."""
    return [str(job.record) for job in regressed_jobs(TIER)]
