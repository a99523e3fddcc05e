# The work: datasets, training, evaluation, hidden attention, interventions and probes.
DATASET = str(RESULTS / "{tier}/datasets/{task}/{settings}/dataset")
CELL = str(RESULTS / "{tier}/cells/{task}/{method}/{settings}/seed-{seed}")
NAMED = "--tier {wildcards.tier} --task {wildcards.task}"
SEEDED = (
    NAMED
    + " --method {wildcards.method} --settings '{wildcards.settings}' --seed {wildcards.seed}"
)


rule dataset:
    """Make the dataset of a task."""
    input:
        stale("dataset"),
    output:
        record=DATASET + ".json",
        table=DATASET + ".csv",
    log:
        DATASET + ".log",
    resources:
        mem_mb=memory_of_attempt,
        runtime=minutes_of("dataset"),
    params:
        fingerprint=print_of("dataset"),
    shell:
        PYTHON
        + " -m bench dataset "
        + NAMED
        + " --settings '{wildcards.settings}' > {log} 2>&1"


rule train:
    """Train a cell with one seed."""
    input:
        stale("train"),
        upstream=before("train"),
    output:
        record=CELL + "/train.json",
        table=CELL + "/train.csv",
    log:
        CELL + "/train.log",
    resources:
        mem_mb=memory_of_attempt,
        runtime=minutes_of("train"),
        gpu=TIER_SPENDS.gpus_per_training,
    params:
        fingerprint=print_of("train"),
    shell:
        PYTHON + " -m bench train " + SEEDED + " > {log} 2>&1"


rule evaluate:
    """Evaluate every checkpoint of a trained cell."""
    input:
        stale("evaluate"),
        upstream=before("evaluate"),
    output:
        record=CELL + "/evaluate.json",
        table=CELL + "/evaluate.csv",
    log:
        CELL + "/evaluate.log",
    resources:
        mem_mb=memory_of_attempt,
        runtime=minutes_of("evaluate"),
    params:
        fingerprint=print_of("evaluate"),
    shell:
        PYTHON + " -m bench evaluate " + SEEDED + " > {log} 2>&1"


rule attend:
    """Look at a trained cell's hidden attention along an episode."""
    input:
        stale("attend"),
        upstream=before("attend"),
    output:
        record=CELL + "/attend.json",
        table=CELL + "/attend.csv",
    log:
        CELL + "/attend.log",
    resources:
        mem_mb=memory_of_attempt,
        runtime=minutes_of("attend"),
    params:
        fingerprint=print_of("attend"),
    shell:
        PYTHON + " -m bench attend " + SEEDED + " > {log} 2>&1"


rule intervene:
    """Play a trained cell with its hidden attention replaced, or as it is."""
    input:
        stale("intervene"),
        upstream=before("intervene"),
    output:
        record=CELL + "/intervene.json",
        table=CELL + "/intervene.csv",
    log:
        CELL + "/intervene.log",
    resources:
        mem_mb=memory_of_attempt,
        runtime=minutes_of("intervene"),
    params:
        fingerprint=print_of("intervene"),
    shell:
        PYTHON + " -m bench intervene " + SEEDED + " > {log} 2>&1"


rule probe:
    """Count parameters and MACs and measure time and memory, alone on the machine."""
    input:
        stale("probe"),
    output:
        record=CELL + "/probe.json",
        table=CELL + "/probe.csv",
    log:
        CELL + "/probe.log",
    threads: workflow.cores
    resources:
        mem_mb=memory_of_attempt,
        runtime=minutes_of("probe"),
    params:
        fingerprint=print_of("probe"),
    shell:
        PYTHON + " -m bench probe " + SEEDED + " > {log} 2>&1"
