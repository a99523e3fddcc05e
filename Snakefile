# The suite's contents page: what can be asked for, and where its rules stand.
#
#   snakemake <paper>_fig02                    one table or figure, and only what it needs
#   snakemake all --config tier=cpu            everything, in a larger tier
#   snakemake plan                             what would be run, and its cost, before it is
#   snakemake --list-target-rules              every target with a line on what it is
import os
import sys

from snakemake.utils import min_version

min_version("9.27")
sys.path.insert(0, workflow.basedir)
# One thread a process, as many processes as cores: see docs/decisions.md.
os.environ.setdefault("OMP_NUM_THREADS", "1")


include: "workflow/rules/common.smk"


rule all:
    """Every table, figure and claim of the papers, a report of them, and a check of health."""
    default_target: True
    input:
        every_rendering("table"),
        every_rendering("figure"),
        results("claims.csv"),
        "results/audit/audit.csv",
        results("cells.csv"),
        results("health.txt"),
        results("report/index.html"),


rule must:
    """What the tier's must list needs; in a tier without one, the numbers of every cell."""
    input:
        texts(GRAPH.records(GRAPH.must)),


rule tables:
    """Every table of the papers."""
    input:
        every_rendering("table"),


rule figures:
    """Every figure of the papers."""
    input:
        every_rendering("figure"),


include: "workflow/rules/work.smk"
include: "workflow/rules/artifacts.smk"
include: "workflow/rules/reports.smk"


# On a cluster: what only reads records runs where Snakemake does.
workflow.localrules(*{each.name for each in workflow.rules}.difference(STAGES))
