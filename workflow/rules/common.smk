# Helpers of the rules: jobs from wildcards, and what makes a result out of date.
import shlex
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

from bench.spec.cells import parse_slug
from bench.spec.claims import load_claims
from bench.spec.errors import UserError
from bench.spec.fingerprint import fingerprint, fingerprint_parts
from bench.spec.jobs import RESULTS, Job, all_jobs, dataset_job
from bench.spec.load import PAPERS, load_catalogue
from bench.spec.regression import regressed_jobs
from bench.spec.renderings import FIGURES, REPORTED, Rendering
from bench.spec.reporting import report_files, report_inputs, template_hashes
from bench.spec.sources import VARIABLE

# Every command of the run reads it from its environment: see docs/data.md.
if "data" in config:
    os.environ[VARIABLE] = str(config["data"] or "")
TIER = config.get("tier", "quick")
PYTHON = shlex.quote(sys.executable)
# `snakemake retry`: results whose status is not ok count as out of date.
RETRY = "retry" in sys.argv[1:]

try:
    CATALOGUE = load_catalogue()
    CATALOGUE.tier(TIER)
    JOBS = all_jobs(TIER)
    CLAIMS = load_claims()
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


def waits(job):
    """Whether a job has to run: out of date, missing, or not ok while `retry` is asked for."""
    return job.state != "current" or (RETRY and job.recorded()["status"] != "ok")


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
    """Input function: the marker of a job that stands and has to run again."""

    def find(wildcards):
        job = job_of(stage)(wildcards)
        return marker_if(waits(job), wildcards.tier, job.fingerprint, job.record)

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


def before(stage):
    """Input function: the records of the jobs a job reads.

    One that stands is `ancient`: its fingerprint, and not its file time, says so. One that has to
    run is not, since Snakemake never looks at a job behind an ancient input that is made anew.
    """

    def find(wildcards):
        upstream = job_of(stage)(wildcards).upstream
        return [
            str(job.record) if waits(job) else ancient(str(job.record))
            for job in upstream
        ]

    return find


def print_of(stage):
    """Params function: a job's fingerprint."""
    return lambda wildcards: job_of(stage)(wildcards).fingerprint


def records_of(wildcards):
    """Input function: the records an artifact reads."""
    return [
        str(job.record) for job in Rendering(wildcards.tier, wildcards.artifact).jobs
    ]


def stale_claims(wildcards):
    """Input function: the marker of claims that stand although cells behind them have to run."""
    behind = any(waits(job) for job in JOBS)
    return marker_if(behind, TIER, "claims", Path(results("claims.csv")))


def regressed_records():
    """The records `regress` compares with the store."""
    return [str(job.record) for job in regressed_jobs(TIER)]
