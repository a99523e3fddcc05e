"""What a trained cell's hidden attention looks at along an episode (DeMa Section 4.1, Figures 4 and 6 to 11).

`python -m bench attend --task hopper-medium --method dema`. The model of the last checkpoint plays the
protocol's episodes at its first target; the longest (of equals the first) is looked at, from step
`attend_from` to `attend_to` or to its end. Looked at is what each action was read from: the row of the last
token (of the state's, with three tokens a step) over the tokens of the last K steps. Weights are magnitudes
|alpha|, since channels of opposite sign would cancel; "fused" is their mean or sum over channels, and layers.

Rows: `hidden_attention`, at index d the fused weight at a distance of d tokens, mean over the steps;
`attention_half_life` in tokens and `attention_fit`, at index l those of layer l, at index 0 of all layers
fused. The same with `untrained_` before their names are those of the model before its first update, which
reads the same tokens: what a decay has to be held against. `attention_to_states` and its like are the shares
of the fused weight on tokens of each kind (DeMa App. J), `earlier_attention_to_...` those of it on tokens of
the steps before the one decided at, and `attention_to_earlier_steps` their sum. A merged token has no kinds.
`attention_within_four_steps` is the share on the step decided at and the three before it, and
`attention_power_over_exponential` how much better an exponential in steps describes the decay than a power
law. The maps themselves lie beside the table in `attend.npz`:

    steps (N,)                    steps of the episode that were looked at
    weights (1 + layers, N, T)    by distance in tokens, NaN before the episode; first all layers fused
    matrices (1 + layers, T, T)   outputs x inputs at the last step looked at, the oldest token first
    channels (layers, T, T)       the same of channel `attention_channel` of each layer alone
    half_lives (1 + layers,)      the rows' half-lives
    channel ()                    which channel that is, from 1
    token_kinds (kinds,)          what tokens hold at the distances 0, 1, 2; they recur
    present ()                    tokens of the step decided at
"""

from __future__ import annotations

import numpy as np
import torch

from bench.errors import SpecError
from bench.files import placed
from bench.measure.attention_profiles import (
    fit_exponential,
    power_over_exponential,
    share_within,
    shares,
)
from bench.measure.hidden_attention import STEP, Maps, Recorder, attention_maps
from bench.methods.base import Learner
from bench.stages.checkpoints import (
    dataset_facts,
    imported_test,
    initial_learner,
    load_last,
    require_trained,
    test_options,
)
from bench.stages.runner import SkippedError, stage_command
from bench.stages.runtime import described, one_thread
from bench.work.jobs import Job
from bench.work.record import Facts, Rows
from bench.worlds.contract import TestRows

NEAR_STEPS = 4


def attend(job: Job) -> tuple[Rows, Facts]:
    """Rows as above; the maps are written beside their place and moved in."""
    one_thread()
    require_trained(job.upstream[0])
    options = test_options(job)
    learner, updates = load_last(job.upstream[0])
    recorder = Recorder(learner)
    evaluator, test = imported_test(job)
    one_target = options | {"target_multiples": "1"}
    evaluator.evaluate(recorder, test, one_target, job.cell.task, job.seed, dataset_facts(job))
    episode = recorder.longest()
    first, last = options["attend_from"], min(options["attend_to"], len(episode.states) - 1)
    if first > last:
        raise SkippedError(
            f"the longest of {options['evaluation_episodes']} episodes ended after {len(episode.states)} "
            f"steps; attend_from is {first} and attend_to {options['attend_to']}"
        )
    steps = np.arange(first, last + 1)
    fusion, channel = options["attention_fusion"], options["attention_channel"]
    try:
        maps = attention_maps(learner, episode, steps, fusion, channel)
    except ValueError as error:
        raise SpecError(
            f"{job.cell.key}: {error}. Choose a method with Mamba layers, and an attention_channel they have."
        ) from None
    before = attention_maps(untrained_like(learner, job.upstream[0]), episode, steps, fusion, channel)
    profiles = np.nanmean(maps.weights, axis=1)
    half_lives = np.array([fit_exponential(profile).half_life for profile in profiles])
    with placed(job.arrays) as temporary:
        np.savez_compressed(temporary, steps=steps, half_lives=half_lives, channel=channel, **maps._asdict())
    measured = [
        *decay_rows(maps),
        *decay_rows(before, "untrained_"),
        *share_rows(maps),
    ]
    rows: Rows = [(metric, updates, index, value) for metric, index, value in measured]
    facts = {"episode_steps": len(episode.states), "looked_at": [first, last]}
    return rows, facts | described(torch.device("cpu"))


def decay_rows(maps: Maps, prefix: str = "") -> TestRows:
    """Rows of maps: the fused profile by distance, the exponential through each, and how near it stays."""
    profiles = np.nanmean(maps.weights, axis=1)
    rows = [(f"{prefix}hidden_attention", float(d), float(weight)) for d, weight in enumerate(profiles[0])]
    for layer, profile in enumerate(profiles):
        found = fit_exponential(profile)
        rows.append((f"{prefix}attention_half_life", float(layer), found.half_life))
        rows.append((f"{prefix}attention_fit", float(layer), found.fit))
    near = share_within(profiles[0], maps.token_kinds, maps.present, NEAR_STEPS)
    rows.append((f"{prefix}attention_within_four_steps", 0.0, near))
    laws = power_over_exponential(profiles[0], maps.token_kinds, maps.present)
    rows.append((f"{prefix}attention_power_over_exponential", 0.0, laws))
    return rows


def share_rows(maps: Maps) -> TestRows:
    """Rows of the shares of the fused weight on earlier steps, and on each kind of token."""
    found = shares(maps.weights[0], maps.token_kinds, maps.present)
    rows = [("attention_to_earlier_steps", 0.0, sum(found.earlier_steps.values()))]
    if maps.token_kinds == (STEP,):
        return rows
    for kind in maps.token_kinds:
        rows.append((f"attention_to_{kind}s", 0.0, found.all_steps[kind]))
        rows.append((f"earlier_attention_to_{kind}s", 0.0, found.earlier_steps[kind]))
    return rows


def untrained_like(learner: Learner, trained: Job) -> Learner:
    """The learner of a training before its first update, reading states as the trained one does."""
    untrained = initial_learner(trained)
    normaliser = learner.model.get_submodule("normaliser").state_dict()
    untrained.model.get_submodule("normaliser").load_state_dict(normaliser)
    untrained.model.eval()
    return untrained


main = stage_command("attend", attend)
