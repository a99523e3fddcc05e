"""Decoding of value-guided methods: a decision tries many returns, and critics choose among the actions.

It tries J = `candidate_targets` targets at once: the one asked for, and others spaced evenly down to half of
it, each lowered by the rewards seen since. Around the return still wanted for each it tries C =
`candidates_per_target` values: that return itself, and others with normal noise of `candidate_deviation` (in
units of `return_scale`) added. The contexts of a target differ by their last return alone, so the steps
before it are read once for all C.

Other than in QT's code no candidate's return is a critic's value, which is in other units than a return, and
Walker2d's second target is 3,750, not 4,000.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from bench.catalogue.option_types import Options
from bench.datasets.episodes import Episodes
from bench.methods.base import Floats, Observation, Trial
from bench.methods.decoding import Inputs, Window
from bench.methods.state_reader import StateReader
from bench.methods.token_model import TokenModel
from bench.nn.backbone import Backbone

LOWEST_SHARE = 0.5  # of the target asked for: 1,800 of Hopper's 3,600


def predict_candidates(policy: TokenModel, window: dict[str, Tensor], candidates: Tensor) -> Tensor:
    """(B, C, A) what a policy predicts at the end of windows without padding, for last returns (B, C)."""
    backbone, (rows, count) = policy.backbone, candidates.shape
    assert isinstance(backbone, Backbone)
    names = ("returns", "states", "actions", "previous_actions", "timesteps")
    shared = policy.step_tokens(**{name: window[name][:, :-1] for name in names})
    present = (window["states"][:, -1], window["previous_actions"][:, -1], window["timesteps"][:, -1])
    own = policy.decision_tokens(
        candidates.reshape(-1, 1), *(values.repeat_interleave(count, dim=0) for values in present)
    )
    length = shared.shape[1] + len(own)
    if shared.shape[1]:
        memory = backbone.prefill(shared, length=length)[1].forked(count)
    else:
        memory = backbone.allocate_state(rows * count, length)
    hidden, _ = backbone.read(torch.stack(own, dim=1), memory)
    return policy.head(hidden).unflatten(0, (rows, count))


class Judged(Protocol):
    """What a decision is made by: a policy that predicts for many returns, and critics that judge them."""

    policy: TokenModel

    def lowest_values(self, states: Tensor, actions: Tensor) -> Tensor:
        """(...) the smaller target critic's value of actions (..., A) in states (..., S)."""


class CandidatePolicy:
    """Decodes from the last K steps, by the candidate whose action the target critics value most.

    With `candidate_temperature` above 0 one is drawn instead, by a softmax of the values over it. What is
    drawn for an episode does not depend on which others are over.
    """

    def __init__(self, model: Judged, normaliser: StateReader, options: Options, trial: Trial) -> None:
        self.model, self.options, self.trial = model, options, trial
        self.inputs = Inputs(normaliser, options)
        device = self.inputs.device
        self.shares = torch.linspace(1.0, LOWEST_SHARE, options["candidate_targets"], device=device)
        self.shape = (trial.count, options["candidate_targets"], options["candidates_per_target"])
        self._forget()

    def _forget(self) -> None:
        self.window = Window(self.options, self.trial.count, self.inputs.device)
        self.asked: Tensor | None = None

    def begin(self, past: Episodes) -> None:
        """Begin an episode; earlier ones are not read."""
        self._forget()

    def act(self, seen: Observation) -> Floats:
        """(count, A) actions.

        The returns of the first call are the targets asked for. Episodes that are over are not decoded; their
        actions are zero.
        """
        wanted, states = self.inputs(seen)
        self.asked = wanted[:, 0] if self.asked is None else self.asked
        self.window.add(wanted, states)
        rows = torch.from_numpy(seen.alive).to(self.inputs.device)
        window = self.window.of(rows, int(seen.alive.sum()))
        self.window.actions[rows, -1] = self._chosen(window, rows, self.asked[rows])
        chosen: Floats = self.window.actions[:, -1].cpu().numpy().copy()
        return chosen

    def observe(self, rewards: Floats) -> None:
        """Rewards reach the policy through the return still wanted."""

    def _chosen(self, window: dict[str, Tensor], rows: Tensor, asked: Tensor) -> Tensor:
        """(n, A) the action of the chosen candidate of each of n windows, asked for (n,)."""
        options, generator, device = self.options, self.trial.generator, self.inputs.device
        # Drawn where the generator is, so that every device sees the same candidates.
        noise = torch.randn(self.shape, generator=generator) * options["candidate_deviation"]
        noise[..., 0] = 0.0
        noise = noise.to(device)
        lowered = asked[:, None] * (1.0 - self.shares)
        histories = window["returns"][:, None] - lowered[:, :, None, None]
        each = {name: values.repeat_interleave(len(self.shares), dim=0) for name, values in window.items()}
        windows = each | {"returns": histories.flatten(0, 1)}
        tried = (histories[:, :, -1] + noise[rows]).flatten(0, 1)
        actions = predict_candidates(self.model.policy, windows, tried)
        actions = actions.view(len(lowered), -1, options["action_dim"])
        states = window["states"][:, -1:].expand(-1, actions.shape[1], -1)
        values = self.model.lowest_values(states, actions)
        if options["candidate_temperature"] > 0.0:
            # Of values with independent Gumbel noise the largest is drawn as by their softmax.
            drawn = torch.empty(self.shape).exponential_(generator=generator).flatten(1)
            values = values / options["candidate_temperature"] - drawn.to(device)[rows].log()
        return actions[torch.arange(len(actions), device=device), values.argmax(dim=1)]
