"""What moves a model's weights: AdamW, which of them decay, and the rate from update to update.

The authors' code for MuJoCo decays every parameter and counts its warm-up in updates. Their code for Atari,
after minGPT's, decays weights alone and counts warm-up and decay in tokens: the actions its batches predict.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from bench.catalogue.option_types import Options
from bench.errors import SpecError

# Parts whose weights DeMa's Atari code calls embeddings, and does not decay: what embeds returns and actions,
# and the projection to the width of the blocks. The encoder of frames is none of them.
EMBEDDINGS = frozenset({"embed_return", "embed_action", "entry"})
# Parameters of Mamba that are no weight of a layer and decay all the same.
STATE_SPACE = ("A_log", "D")


def make_optimiser(model: nn.Module, options: Options) -> torch.optim.AdamW:
    """AdamW over all parameters of the model, at the peak rate; `decayed` says which decay."""
    decay, keep = list[nn.Parameter](), list[nn.Parameter]()
    for name, parameter in model.named_parameters():
        (decay if options["decayed"] == "all" or _decays(model, name, options) else keep).append(parameter)
    optimiser = torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": weight_decay}
            for parameters, weight_decay in ((decay, options["weight_decay"]), (keep, 0.0))
            if parameters
        ],
        lr=options["learning_rate"],
        betas=(0.9, options["adam_beta2"]),
        eps=options["adam_epsilon"],
        # One call for all parameters, on a CPU as on a GPU.
        fused=True,
    )
    optimiser.register_step_post_hook(_note_change)
    return optimiser


def _note_change(optimiser: torch.optim.Optimizer, *_: object) -> None:
    """Count a step as a change in place, which the fused one does not: kept programs go by that count."""
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            torch.autograd.graph.increment_version(parameter)


def _decays(model: nn.Module, name: str, options: Options) -> bool:
    """Whether a parameter is a weight of a linear map or a convolution, or one of Mamba's own."""
    *path, last = name.split(".")
    if options["decayed"] == "inner-weights" and EMBEDDINGS.intersection(path):
        return False
    if last in STATE_SPACE:
        return True
    owner = model.get_submodule(".".join(path))
    is_table = isinstance(owner, nn.Embedding)
    # An LSTM's are `weight_ih_l0` and the like.
    return last.startswith("weight") and not is_table and owner.get_parameter(last).dim() > 1


def learning_rate_factor(step: int, tokens: int, options: Options) -> float:
    """Share of the peak rate of the update after `step` updates, whose batch brings the tokens to `tokens`.

    Linear warm-up, then constant, or cosine to `decay_floor` of the peak, where it stays. All is counted in
    updates, or in tokens where `warmup_tokens` or `decay_tokens` is not 0.
    """
    if in_tokens(options):
        done, warmup, end = tokens, options["warmup_tokens"], options["decay_tokens"]
        rising = tokens
    else:
        done, warmup, end = step, options["warmup_updates"], options["updates"]
        rising = step + 1
    if done < warmup:
        return rising / warmup
    if options["decay"] == "constant":
        return 1.0
    progress = min((done - warmup) / max(end - warmup, 1), 1.0)
    return max(options["decay_floor"], 0.5 * (1.0 + math.cos(math.pi * progress)))


def in_tokens(options: Options) -> bool:
    """Whether the schedule counts tokens; SpecError if only half of it does, or it ends before it begins."""
    warmup, end = options["warmup_tokens"], options["decay_tokens"]
    if not warmup and not end:
        return False
    if options["decay"] == "cosine" and end <= warmup:
        raise SpecError(
            f"option decay_tokens: a cosine in tokens has to end after its warm-up, and {end} is not above "
            f"warmup_tokens = {warmup}. Give both, or neither."
        )
    if not warmup and options["warmup_updates"]:
        raise SpecError(
            f"option warmup_tokens: with decay_tokens = {end} the schedule counts tokens, and "
            f"warmup_updates = {options['warmup_updates']} would count for nothing. Give the warm-up in "
            "tokens, or set warmup_updates to 0."
        )
    if end and options["decay"] == "constant":
        raise SpecError(
            f"option decay_tokens: with decay = constant nothing decays, and {end} would count for nothing. "
            "Set decay to cosine, or decay_tokens to 0."
        )
    return True
