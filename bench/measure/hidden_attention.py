"""Hidden attention along an episode that was played.

Shapes: N steps that are examined, K steps of context that are kept for a decision, T tokens in them up to the
one its action is read off (`bench.methods.token_layout`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.datasets.arrays import Actions
from bench.datasets.episodes import Episodes
from bench.methods.base import Batch, Floats, Learner, Observation, Trial
from bench.methods.decoding import StepPolicy
from bench.methods.normaliser import Normaliser
from bench.methods.return_conditioned import ReturnConditionedModel
from bench.methods.token_layout import TokenLayout
from bench.nn.hidden_attention import hidden_attention, hidden_attention_row
from bench.nn.intervene import mamba_mixers
from bench.nn.mamba import MambaMixer, sequence_starts

# What a token holds that is a whole step.
STEP = "step"


class Episode(NamedTuple):
    """What a policy read and did: states (steps, S), returns wanted (steps,), actions (steps, A)."""

    states: Floats
    returns: Floats
    actions: Floats


class Recorder:
    """An agent for an evaluator whose policy remembers what passes through it."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner

    def policy(self, trial: Trial) -> Recorder:
        """Itself, in front of the learner's policy; the record starts again."""
        self.decoder = self.learner.policy(trial)
        self.steps: list[tuple[Observation, Actions]] = []
        return self

    def begin(self, past: Episodes) -> None:
        """Begin an episode."""
        self.decoder.begin(past)

    def act(self, seen: Observation) -> Actions:
        """The learner's actions (count, A)."""
        actions = self.decoder.act(seen)
        kept = Observation(seen.states.copy(), seen.wanted.copy(), seen.alive.copy())
        self.steps.append((kept, actions.copy()))
        return actions

    def observe(self, rewards: Floats) -> None:
        """Hand the rewards on."""
        self.decoder.observe(rewards)

    def longest(self) -> Episode:
        """The longest of the episodes played since `policy`; of equals the first."""
        states, wanted, alive = (
            np.stack(values) for values in zip(*(seen for seen, _ in self.steps), strict=True)
        )
        actions = np.stack([actions for _, actions in self.steps])
        chosen = int(alive.sum(axis=0).argmax())
        length = int(alive[:, chosen].sum())
        return Episode(states[:length, chosen], wanted[:length, chosen], actions[:length, chosen])


class Maps(NamedTuple):
    """Magnitudes of hidden attention; see `bench.stages.attend` for shapes and content."""

    weights: Floats
    matrices: Floats
    channels: Floats
    token_kinds: tuple[str, ...]  # of the token read, of the one before it, and so on through a step
    present: int  # tokens of the step decided at


@torch.no_grad()
def attention_maps(
    learner: Learner, episode: Episode, steps: NDArray[np.int64], fusion: str, channel: int
) -> Maps:
    """The hidden attention of a learner's Mamba layers at some ascending steps (N,) of an episode.

    A learner that reads the last K steps again at each decision is examined in those windows. One that keeps
    a state is examined over the whole episode, of which the last K steps are kept. `channel` counts from 1.
    Raises ValueError for a model without Mamba layers, or without that channel.
    """
    layers = mamba_mixers(learner.model)
    if not layers:
        raise ValueError("the model has no Mamba layers, and so no hidden attention")
    fewest = min(layer.channels for layer in layers)
    if not 1 <= channel <= fewest:
        raise ValueError(f"channel: expected 1 to {fewest}, the channels of a layer, got {channel}")
    options, layout = learner.options, _layout(learner)
    whole = isinstance(learner.policy(Trial(1, torch.Generator())), StepPolicy)
    length = options["context_length"]
    if whole or options["padding"] == "masked":
        length = min(length, int(steps[-1]) + 1)
    read = _whole_episode if whole else _read_windows
    inputs, mask = read(learner, layers, episode, steps, length)
    kept = layout.up_to_decision(length)
    resets = sequence_starts(mask, None)
    real = mask[:, -kept:].flip(1).numpy()
    weights, matrices, channels = [], [], []
    for layer, tokens in zip(layers, inputs, strict=True):
        row = _fused(hidden_attention_row(layer, tokens, -1, resets), fusion)[:, -kept:]
        weights.append(np.where(real, row.flip(1).numpy(), np.nan))
        matrix = hidden_attention(layer, tokens[-1:], None if resets is None else resets[-1:])
        matrix = matrix[:, :, -kept:, -kept:]
        matrices.append(_fused(matrix, fusion)[0].numpy())
        channels.append(matrix[0, channel - 1].abs().numpy())
    fused = _with_fused(weights, fusion), _with_fused(matrices, fusion)
    return Maps(*fused, np.stack(channels), kinds_by_distance(layout), layout.up_to_decision(1))


def kinds_by_distance(layout: TokenLayout) -> tuple[str, ...]:
    """What tokens hold, from the one that an action is read off backwards through a step; they recur."""
    if layout.merged:
        return (STEP,)
    return tuple(layout.kinds[(layout.read_at - d) % layout.per_step] for d in range(layout.per_step))


class _Read(NamedTuple):
    """What each Mamba layer reads, up to the token that the action of each of N steps is read off."""

    inputs: list[Tensor]  # one for each layer, (N, tokens, width)
    mask: Tensor  # (N, tokens), bool: False before the episode, unless the model attends to its padding


def _read_windows(
    learner: Learner, layers: list[MambaMixer], episode: Episode, steps: NDArray[np.int64], length: int
) -> _Read:
    """What the layers read of the `length` steps up to each of `steps`, read as a window."""
    layout, batch = _layout(learner), windows(learner, episode, steps, length)
    mask = batch["mask"] | (learner.options["padding"] == "attended")
    tokens = layout.up_to_decision(length)
    inputs = [values[:, :tokens] for values in mixer_inputs(learner.model, batch)]
    return _Read(inputs, mask.repeat_interleave(layout.per_step, dim=1)[:, :tokens])


def _whole_episode(
    learner: Learner, layers: list[MambaMixer], episode: Episode, steps: NDArray[np.int64], length: int
) -> _Read:
    """What the layers read of the `length` steps up to each of `steps`, the episode being read once."""
    layout, last = _layout(learner), int(steps[-1])
    inputs = mixer_inputs(learner.model, windows(learner, episode, steps[-1:], last + 1))
    # The convolution reads a few tokens before the first that is kept.
    tokens = layout.up_to_decision(length) + max(layer.d_conv for layer in layers) - 1
    ends = torch.from_numpy(steps) * layout.per_step + layout.up_to_decision(1)
    index = ends[:, None] - tokens + torch.arange(tokens)
    return _Read([values[0, index.clamp(min=0)] for values in inputs], index >= 0)


def _layout(learner: Learner) -> TokenLayout:
    """What the tokens of a step are."""
    assert isinstance(learner.model, ReturnConditionedModel)
    return learner.model.layout


def windows(learner: Learner, episode: Episode, steps: NDArray[np.int64], length: int) -> Batch:
    """Windows (N, length, ...) that end at each of the steps (N,), padded on the left before the episode.

    The last action is not known yet when a decision is made, and is zero.
    """
    options, normaliser = learner.options, learner.model.get_submodule("normaliser")
    assert isinstance(normaliser, Normaliser)
    index = steps[:, None] - length + 1 + np.arange(length)
    mask = index >= 0
    index = np.where(mask, index, 0)
    actions = episode.actions[index] * mask[..., None]
    actions[:, -1] = 0.0
    before = episode.actions[np.maximum(index - 1, 0)] * (mask & (index > 0))[..., None]
    returns = (episode.returns / np.float32(options["return_scale"]))[index] * mask
    return {
        "returns": torch.from_numpy(returns).unsqueeze(-1),
        "states": torch.from_numpy(normaliser.of(episode.states)[index] * mask[..., None]),
        "actions": torch.from_numpy(actions),
        "previous_actions": torch.from_numpy(before),
        "timesteps": torch.from_numpy(np.minimum(index, options["max_timestep"] - 1)),
        "mask": torch.from_numpy(mask),
    }


def mixer_inputs(model: nn.Module, batch: Batch) -> list[Tensor]:
    """The input of each Mamba mixer of a model, (N, tokens, width), when the model reads a batch."""
    inputs: list[Tensor] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
        for layer in mamba_mixers(model)
    ]
    try:
        model(**batch)
    finally:
        for hook in hooks:
            hook.remove()
    return inputs


def _fused(attention: Tensor, fusion: str) -> Tensor:
    """Magnitudes of attention (N, channels, ...) fused over channels, (N, ...)."""
    magnitude = attention.abs()
    return magnitude.mean(1) if fusion == "mean" else magnitude.sum(1)


def _with_fused(layers: list[Floats], fusion: str) -> Floats:
    """(1 + layers, ...): all layers fused, then each of them."""
    stacked = np.stack(layers).astype(np.float32)
    fused = stacked.mean(axis=0) if fusion == "mean" else stacked.sum(axis=0)
    return np.concatenate([fused[None], stacked])
