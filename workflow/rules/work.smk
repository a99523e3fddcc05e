# The work: a rule for each stage, named as its module, its records and its logs.
PLACES = {
    "task": "results/{tier}/datasets/{task}/{settings}",
    "cell": "results/{tier}/cells/{task}/{method}/{settings}/seed-{seed}",
}
for stage in STAGES.values():
    made = f"{PLACES[stage.subject]}/{stage.name}"

    rule:
        name:
            stage.name
        input:
            of_job(stage, lambda job: texts(GRAPH.markers_of_job(job))),
            upstream=before(stage),
        output:
            record=f"{made}.json",
            table=f"{made}.csv",
        log:
            f"{made}.log",
        conda:
            ENVIRONMENT
        threads: threads_of(stage) if stage.alone else 1
        resources:
            mem_mb=lambda wildcards, attempt: GRAPH.memory_mib(attempt),
            runtime=minutes_of(stage),
            gpu=CATALOGUE.tier(TIER).gpus_per_training if stage.gpu else 0,
        params:
            fingerprint=of_job(stage, lambda job: job.fingerprint),
            command=command_of(partial(GRAPH.job_command, stage.name)),
        shell:
            "{params.command} > {log} 2>&1"

    workflow.get_rule(stage.name).docstring = stage.title
