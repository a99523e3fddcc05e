# Tables and figures: one rule that renders each kind, and a target for every artifact.
TABLE = str(RESULTS / "{tier}/tables/{artifact}")
FIGURE = str(FIGURES / "{tier}/{artifact}")


if STORED:

    rule table:
        """Render every table from the store, in one process: there is nothing to wait for."""
        input:
            stale_renderings("table"),
            STORE,
        output:
            every_rendering("table"),
        log:
            results("logs/table.log"),
        params:
            tier=TIER,
            fingerprint=[one.fingerprint for one in renderings("table")],
        shell:
            PYTHON + " -m bench table --tier {params.tier} > {log} 2>&1"

    rule figure:
        """Draw every figure from the store, in one process."""
        input:
            stale_renderings("figure"),
            STORE,
        output:
            every_rendering("figure"),
        log:
            results("logs/figure.log"),
        params:
            tier=TIER,
            fingerprint=[one.fingerprint for one in renderings("figure")],
        shell:
            PYTHON + " -m bench figure --tier {params.tier} > {log} 2>&1"

else:

    rule table:
        """Render a table from the records of its own cells."""
        input:
            stale_rendering,
            records=records_of,
        output:
            multiext(TABLE, ".csv", ".md", ".tex", ".json"),
        log:
            str(RESULTS / "{tier}/logs/{artifact}.log"),
        params:
            fingerprint=lambda wildcards: Rendering(
                wildcards.tier, wildcards.artifact
            ).fingerprint,
        shell:
            PYTHON
            + " -m bench table --tier {wildcards.tier} --artifact {wildcards.artifact} > {log} 2>&1"

    rule figure:
        """Draw a figure from the records of its own cells."""
        input:
            stale_rendering,
            records=records_of,
        output:
            multiext(FIGURE, ".csv", ".png", ".pdf", ".json"),
        log:
            str(RESULTS / "{tier}/logs/{artifact}.log"),
        params:
            fingerprint=lambda wildcards: Rendering(
                wildcards.tier, wildcards.artifact
            ).fingerprint,
        shell:
            PYTHON
            + " -m bench figure --tier {wildcards.tier} --artifact {wildcards.artifact} > {log} 2>&1"


for artifact_name, artifact in CATALOGUE.artifacts.items():

    rule:
        name:
            artifact_name
        input:
            [str(path) for path in Rendering(TIER, artifact_name).outputs],

    paper = CATALOGUE.paper_of(artifact_name).title
    workflow.get_rule(artifact_name).docstring = (
        f"{paper} {artifact.printed}: {artifact.title}"
    )
