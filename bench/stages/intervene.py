"""Play a trained cell with its attention replaced (DeMa Section 4.2, Figure 5).

`python -m bench intervene --task hopper-medium --method dema --settings intervention=zero`. The model is the
one of the last checkpoint; a donor's is the last of its own training, with the same seed. All variants of a
cell, the unchanged one included, meet the same starts.
"""

from __future__ import annotations

import torch

from bench.errors import SpecError
from bench.methods.base import Learner, make_learner
from bench.nn.intervene import attention_mixers
from bench.nn.intervene import intervene as replace
from bench.seeds import stream_seed
from bench.stages.checkpoints import dataset_facts, imported_test, load_last, require_trained, test_options
from bench.stages.runner import stage_command
from bench.stages.runtime import described, one_thread
from bench.work.cells import trained_cell
from bench.work.jobs import Job
from bench.work.record import Facts, Rows


def change(learner: Learner, job: Job, donor: Learner | None) -> None:
    """Replace what the job's options say in the learner's model.

    Random values "as at initialisation" are those of a model that was not trained. Raises SpecError, naming
    the option, where the model or the donor's does not fit.
    """
    options = job.options
    if not attention_mixers(learner.model):
        raise SpecError(
            f"{job.cell.key}: {job.cell.method} has no layer whose attention could be replaced. Choose a "
            "method with Mamba or attention layers."
        )
    layer, operation = options["intervened_layer"], options["intervention"]
    seed = stream_seed("intervention", trained_cell(job.suite.catalogue, job.cell).key, job.seed)
    untrained = operation == "random" and options["random_values"] == "initialisation"
    giver = _untrained(job, seed) if untrained else donor
    try:
        learner.model = replace(
            learner.model,
            "swap" if untrained else operation,
            layers=None if layer == "all" else [int(layer)],
            donor=None if giver is None else giver.model,
            seed=seed,
            replaced=options["intervened_tensors"],
            random_values=options["random_values"],
        )
    except ValueError as error:
        name, remedy = "intervened_layer", "Choose a layer that the model has, or train one with more layers."
        if donor is not None and str(error).startswith("donor"):
            name = f"donor={options['donor']}"
            remedy = (
                "Choose a donor whose layers have the same sizes (d_model, d_state and expand, or "
                "embedding_dim), or train both with equal ones."
            )
        raise SpecError(f"{job.cell.key}: option {name}: {error}. {remedy}") from None


def _untrained(job: Job, seed: int) -> Learner:
    """A learner of the job's method and sizes before any update, drawn by a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make_learner(job.cell.method, job.upstream[0].options)


def intervene(job: Job) -> tuple[Rows, Facts]:
    """The score of each test episode, in the protocol's units, after the intervention."""
    one_thread()
    trained, *others = job.upstream
    require_trained(trained)
    for other in others:
        require_trained(other, f"the training of its donor {other.cell.task}")
    learner, step = load_last(trained)
    donor = load_last(others[0])[0] if others else None
    if job.options["intervention"] != "none":
        change(learner, job, donor)
    evaluator, test = imported_test(job)
    facts = dataset_facts(job)
    scores = evaluator.episode_scores(learner, test, test_options(job), job.cell.task, job.seed, facts)
    rows: Rows = [("intervened_score", step, float(number), float(s)) for number, s in enumerate(scores)]
    return rows, {"donor": others[0].cell.key if others else "", **described(torch.device("cpu"))}


main = stage_command("intervene", intervene)
