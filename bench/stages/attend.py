"""What a trained cell's hidden attention looks at along an episode (DeMa Section 4.1, Figures 4 and 6 to 11).

`python -m bench attend --task hopper-medium --method dema`. The model of the last checkpoint plays the
protocol's episodes at its first target; the longest (of equals the first) is looked at, from step
`attend_from` to `attend_to` or to its end. Looked at is what each action was read from: the row of the last
token (of the state's, with three tokens a step) over the tokens of the last K steps. Weights are magnitudes
|alpha|, since channels of opposite sign would cancel; "fused" is their mean or sum over channels, and layers.

Rows: `hidden_attention`, at index d the fused weight at a distance of d tokens, mean over the steps;
`attention_half_life` in tokens and `attention_fit`, at index l those of layer l, at index 0 of all layers
fused. The maps themselves lie beside the table in `attend.npz`:

    steps (N,)                    steps of the episode that were looked at
    weights (1 + layers, N, T)    by distance in tokens, NaN before the episode; first all layers fused
    matrices (1 + layers, T, T)   outputs x inputs at the last step looked at, the oldest token first
    channels (layers, T, T)       the same of channel `attention_channel` of each layer alone
    half_lives (1 + layers,)      the rows' half-lives
    channel (), tokens_per_step ()    which channel that is, from 1; 3 or 1 tokens
"""

from __future__ import annotations

import numpy as np
import torch

from bench.errors import SpecError
from bench.measure.hidden_attention import Recorder, attention_maps, fit_exponential
from bench.stages.checkpoints import dataset_facts, imported_test, load_last, require_trained, test_options
from bench.stages.runner import SkippedError, stage_command
from bench.stages.runtime import described, one_thread
from bench.work.jobs import Job
from bench.work.record import Facts, Rows


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
    profiles = np.nanmean(maps.weights, axis=1)
    decays = [fit_exponential(profile) for profile in profiles]
    job.folder.mkdir(parents=True, exist_ok=True)
    temporary = job.arrays.with_name(f"building-{job.arrays.name}")
    half_lives = np.array([decay.half_life for decay in decays])
    np.savez_compressed(temporary, steps=steps, half_lives=half_lives, channel=channel, **maps._asdict())
    temporary.replace(job.arrays)
    rows: Rows = [("hidden_attention", updates, float(d), float(w)) for d, w in enumerate(profiles[0])]
    for layer, decay in enumerate(decays):
        rows.append(("attention_half_life", updates, float(layer), decay.half_life))
        rows.append(("attention_fit", updates, float(layer), decay.fit))
    facts = {"episode_steps": len(episode.states), "looked_at": [first, last]}
    return rows, facts | described(torch.device("cpu"))


main = stage_command("attend", attend)
