# What is said about a run as a whole.
EVERY_RECORD = records(JOBS)
GATHERED = fingerprint(
    fingerprint_parts(
        ["bench.commands.cells", "bench.commands.health"],
        {"stored": STORED_DIGEST},
        0,
        [job.fingerprint for job in JOBS],
    )
)


rule cells:
    """Every number of the tier in one tidy file."""
    input:
        EVERY_RECORD,
    output:
        results("cells.csv"),
    log:
        results("logs/cells.log"),
    params:
        tier=TIER,
        fingerprint=GATHERED,
    shell:
        PYTHON + " -m bench cells --tier {params.tier} > {log} 2>&1"


rule health:
    """Fail, naming the cells, where the code of a cell broke; what could not be had is no failure."""
    input:
        EVERY_RECORD,
    output:
        results("health.txt"),
    log:
        results("logs/health.log"),
    params:
        tier=TIER,
        fingerprint=GATHERED,
    shell:
        PYTHON + " -m bench health --tier {params.tier} > {log} 2>&1"


rule claims:
    """Every claim of the papers, tested on the tier's cells: supported, contradicted, or left open."""
    input:
        stale_claims,
        cells=results("cells.csv"),
    output:
        results("claims.csv"),
        results("claims.md"),
    log:
        results("logs/claims.log"),
    params:
        tier=TIER,
        fingerprint=fingerprint(
            fingerprint_parts(
                ["bench.commands.claims"],
                {"claims": repr(CLAIMS), "papers": repr(CATALOGUE.papers)},
                0,
                [GATHERED],
            )
        ),
    shell:
        PYTHON + " -m bench claims --tier {params.tier} > {log} 2>&1"


rule audit:
    """The papers' own numbers against each other: averages, ratios, sizes, what text and tables say."""
    input:
        [str(path) for path in CATALOGUE.reported],
    output:
        str(RESULTS / "audit/audit.csv"),
        str(RESULTS / "audit/audit.md"),
    log:
        str(RESULTS / "audit/audit.log"),
    params:
        fingerprint=fingerprint(fingerprint_parts(["bench.commands.audit"], {}, 0, [])),
    shell:
        PYTHON + " -m bench audit > {log} 2>&1"


rule store:
    """Promote a finished run into the committed store, which the commands of git then commit."""
    input:
        EVERY_RECORD,
        results("health.txt"),
    params:
        tier=TIER,
    shell:
        PYTHON + " -m bench store --tier {params.tier}"


rule report:
    """Pages to read from disk: claims, every number with its command, figures, audit, provenance."""
    input:
        [str(path) for path in report_inputs(TIER)],
        results("claims.csv"),
        str(RESULTS / "audit/audit.csv"),
        results("cells.csv"),
    output:
        [str(path) for path in report_files(TIER)],
    log:
        results("logs/report.log"),
    params:
        tier=TIER,
        fingerprint=fingerprint(
            fingerprint_parts(
                ["bench.commands.report"],
                {
                    "claims": repr(CLAIMS),
                    "papers": repr(CATALOGUE.papers),
                    "stored": STORED_DIGEST,
                },
                0,
                [Rendering(TIER, name).fingerprint for name in CATALOGUE.artifacts],
                template_hashes(),
            )
        ),
    shell:
        PYTHON + " -m bench report --tier {params.tier} > {log} 2>&1"


rule plan:
    """What would be run, and what it costs, for each artifact; runs nothing."""
    params:
        tier=TIER,
    shell:
        PYTHON + " -m bench plan --tier {params.tier}"


rule bill:
    """What the jobs with a record cost, beside what was planned; runs nothing."""
    params:
        tier=TIER,
    shell:
        PYTHON + " -m bench bill --tier {params.tier}"


rule regress:
    """Compare all counts, and a few cells trained anew, with the committed store; fails by name."""
    input:
        regressed_records(),
    params:
        tier=TIER,
    shell:
        PYTHON + " -m bench regress --tier {params.tier}"
