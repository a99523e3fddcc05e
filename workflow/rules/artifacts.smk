# Tables and figures: a rule that makes each kind, and a target for every artifact.
KINDS = {
    "table": "Render a table from the records of its own cells, or all of them from the store.",
    "figure": "Draw a figure from the records of its own cells, or all of them from the store.",
}
for kind, docstring in KINDS.items():

    # From the store, one process makes them all: there is nothing to wait for.
    rule:
        name:
            kind
        input:
            shown_by(kind, GRAPH.markers_of_renderings),
            records=shown_by(kind, GRAPH.records_behind),
        output:
            every_rendering(kind)
            if GRAPH.stored
            else texts(outputs(kind, "{tier}", "{artifact}")),
        log:
            results(f"logs/{kind}.log")
            if GRAPH.stored
            else "results/{tier}/logs/{artifact}.log",
        conda:
            ENVIRONMENT
        params:
            fingerprint=shown_by(kind, lambda found: [one.fingerprint for one in found]),
            command=command_of(partial(GRAPH.rendering_command, kind)),
        shell:
            "{params.command} > {log} 2>&1"

    workflow.get_rule(kind).docstring = docstring


for artifact_name, artifact in CATALOGUE.artifacts.items():

    rule:
        name:
            artifact_name
        input:
            texts(Rendering(SUITE, TIER, artifact_name).outputs),

    paper = CATALOGUE.paper_of(artifact_name).title
    workflow.get_rule(artifact_name).docstring = (
        f"{paper} {artifact.printed}: {artifact.title}"
    )
