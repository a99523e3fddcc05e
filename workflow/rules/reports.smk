# What is said about a run as a whole.
EVERY_RECORD = texts(GRAPH.records(GRAPH.jobs))
GATHERED = {
    "cells": ("cells.csv", "Every number of the tier in one tidy file."),
    "health": (
        "health.txt",
        "Fail, naming the cells, where the code of a cell broke; what could not be had is no failure.",
    ),
}
for name, (file, docstring) in GATHERED.items():

    rule:
        name:
            name
        input:
            stale(file),
            EVERY_RECORD,
        output:
            results(file),
        log:
            results(f"logs/{name}.log"),
        conda:
            ENVIRONMENT
        params:
            fingerprint=GRAPH.gathered,
            command=f"python -m bench {name} --tier {TIER}",
        shell:
            "{params.command} > {log} 2>&1"

    workflow.get_rule(name).docstring = docstring


rule claims:
    """Every claim of the papers, tested on the tier's cells: supported, contradicted, or left open."""
    input:
        stale("claims.csv"),
        cells=results("cells.csv"),
    output:
        results("claims.csv"),
        results("claims_units.csv"),
        results("claims.md"),
    log:
        results("logs/claims.log"),
    conda:
        ENVIRONMENT
    params:
        tier=TIER,
        fingerprint=GRAPH.claims,
    shell:
        "python -m bench claims --tier {params.tier} > {log} 2>&1"


rule audit:
    """The papers' own numbers against each other: averages, ratios, sizes, what text, tables and code say."""
    input:
        lambda wildcards: texts(GRAPH.markers_of_pages(AUDIT)),
        texts(CATALOGUE.reported),
        texts(CATALOGUE.code_defaults),
        texts(CATALOGUE.contradictions),
    output:
        "results/audit/audit.csv",
        "results/audit/audit.md",
    log:
        "results/audit/audit.log",
    conda:
        ENVIRONMENT
    params:
        fingerprint=GRAPH.audit,
    shell:
        "python -m bench audit > {log} 2>&1"


rule report:
    """Pages to read from disk: claims, every number with its command, figures, audit, provenance."""
    input:
        lambda wildcards: texts(GRAPH.markers_of_pages(report_files(SUITE, TIER))),
        texts(report_inputs(SUITE, TIER)),
        results("claims.csv"),
        "results/audit/audit.csv",
        results("cells.csv"),
    output:
        texts(report_files(SUITE, TIER)),
    log:
        results("logs/report.log"),
    conda:
        ENVIRONMENT
    params:
        tier=TIER,
        fingerprint=GRAPH.report,
    shell:
        "python -m bench report --tier {params.tier} > {log} 2>&1"


SPOKEN = {
    "store": "Promote a finished run into the committed store, which the commands of git then commit.",
    "plan": "What would be run, and what it costs, for each artifact; runs nothing.",
    "bill": "What the jobs with a record cost, beside what was planned; runs nothing.",
    "regress": "Compare all counts, and a few cells trained anew, with the committed store; fails by name.",
}
READ = {
    "store": [*EVERY_RECORD, results("health.txt")],
    "regress": texts(refusing(GRAPH.regressed)()),
}
for name, docstring in SPOKEN.items():

    # What it says is shown on the terminal; a failed job's log is shown there as well.
    rule:
        name:
            name
        input:
            READ.get(name, []),
        log:
            results(f"logs/{name}.log"),
        conda:
            ENVIRONMENT
        params:
            command=f"python -m bench {name} --tier {TIER}",
        shell:
            "{params.command} 2> {log}"

    workflow.get_rule(name).docstring = docstring
