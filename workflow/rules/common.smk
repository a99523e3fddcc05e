# What the rules ask of the graph (bench/work/graph.py), in the forms that Snakemake takes.
from functools import partial, wraps
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import ExecMode

from bench.catalogue.choices import VARIABLE as READING
from bench.catalogue.folders import VARIABLE as PAPERS
from bench.catalogue.sources import VARIABLE
from bench.catalogue.stages import STAGES
from bench.errors import UserError
from bench.work.gathered import AUDIT
from bench.work.graph import Graph, asked_to_retry
from bench.work.jobs import RESULTS
from bench.work.numerics import VARIABLE as NUMERICS, chosen
from bench.work.progress import follow
from bench.work.renderings import Rendering, outputs
from bench.work.reporting import report_files, report_inputs
from bench.work.stored import VARIABLE as SOURCE
from bench.work.suite import Suite

# Every command of the run reads these from its environment: see docs/{data,store,extending,readings}.md.
if "data" in config:
    os.environ[VARIABLE] = str(config["data"] or "")
if "papers" in config:
    os.environ[PAPERS] = str(config["papers"] or "")
if "source" in config:
    os.environ[SOURCE] = str(config["source"] or "")
if "reading" in config:
    os.environ[READING] = str(config["reading"] or "")
if "numerics" in config:
    os.environ[NUMERICS] = str(config["numerics"] or "")
# `python` is the one that Snakemake runs on, or that of conda's environment.
commands = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
os.environ.update(PATH=os.pathsep.join(commands))
TIER = config.get("tier", "quick")
# Used with `--sdm conda`, and with nothing else.
ENVIRONMENT = "../../environment.yml"


def refusing(function):
    """The function, with the message of a UserError as Snakemake shows messages."""

    @wraps(function)
    def asked(*arguments, **named):
        try:
            return function(*arguments, **named)
        except UserError as error:
            raise WorkflowError(f"error: {error}")

    return asked


# A job of a cluster is a Snakemake as well, and does what it was sent for.
RETRY = refusing(asked_to_retry)(config) and workflow.exec_mode == ExecMode.DEFAULT
refusing(chosen)()
SUITE = refusing(Suite.from_environment)()
CATALOGUE = SUITE.catalogue
GRAPH = Graph(SUITE, TIER, RETRY)
refusing(GRAPH.check)()


wildcard_constraints:
    tier="|".join(CATALOGUE.tiers),
    task="|".join(CATALOGUE.tasks),
    method="|".join(CATALOGUE.methods),
    settings=r"[a-z0-9_=,.+-]+",
    seed=r"\d+",
    artifact="|".join(CATALOGUE.artifacts),


def texts(paths):
    """Paths as Snakemake takes them."""
    return [str(path) for path in paths]


def results(name):
    """A file of the tier's results."""
    return str(RESULTS / TIER / name)


def stale(file):
    """Input function: the marker of what is said of all jobs, if one of them has to run."""
    return lambda wildcards: texts(GRAPH.markers_of(file))


def every_rendering(kind):
    """The files of every table or figure."""
    return texts(path for one in GRAPH.renderings(kind) for path in one.outputs)


def job_of(stage, wildcards):
    """The job that a stage's wildcards name."""
    return GRAPH.job(stage.name, dict(wildcards.items()))


def of_job(stage, ask):
    """Input or params function: what `ask` says of the job that wildcards name."""
    return refusing(lambda wildcards: ask(job_of(stage, wildcards)))


def was_cut_off(path):
    """Whether Snakemake notes of a file that its job was begun and not ended."""
    # No public function of Snakemake says so of a file alone.
    return bool(workflow.persistence._filter_incomplete_keys([str(path)]))


def before(stage):
    """Input function: the records a job reads.

    One that stands is `ancient`: its fingerprint, and not its file time, says so. One that has to run is
    not, since Snakemake never looks at a job behind an ancient input that is made anew. Nor is one whose
    job was cut off, by Snakemake's notes: it runs again although its record may be whole.
    """

    def find(job):
        return [
            ancient(str(path)) if stands and not was_cut_off(path) else str(path)
            for path, stands in GRAPH.upstream(job)
        ]

    return of_job(stage, find)


def threads_of(stage):
    """Threads function: all of them for a job that runs alone, so that nothing else does meanwhile."""
    return lambda wildcards: workflow.cores if job_of(stage, wildcards).alone else 1


def minutes_of(stage):
    """Resources function: a job's time limit on a cluster."""
    return lambda wildcards, attempt: GRAPH.minutes(job_of(stage, wildcards), attempt)


def shown_by(kind, ask):
    """Input or params function: what `ask` says of the tables or figures that one job makes."""
    return lambda wildcards: texts(ask(GRAPH.renderings(kind, dict(wildcards.items()))))


def command_of(ask):
    """Params function: the command for wildcards. It takes the output as well, so that Snakemake makes
    no note of it: the fingerprint alone says what a result depends on."""
    return lambda wildcards, output: ask(dict(wildcards.items()))


def expected_seconds(job):
    """What a job of Snakemake's graph is expected to take."""
    return GRAPH.expected_seconds(job.rule.name, dict(job.wildcards.items()))


def check_done():
    """UserError where Snakemake ends well and something that was asked for is not there, or out of date."""
    done = list(workflow.dag.jobs)
    worked = [
        GRAPH.job(job.rule.name, dict(job.wildcards.items()))
        for job in done
        if job.rule.name in STAGES
    ]
    GRAPH.check_done(worked, [Path(file) for job in done for file in job.output])


onsuccess:
    if workflow.exec_mode == ExecMode.DEFAULT:
        refusing(check_done)()


onstart:
    # The run that submitted the jobs of a cluster says how far it is.
    if workflow.exec_mode == ExecMode.DEFAULT:
        follow(workflow.dag, expected_seconds)
