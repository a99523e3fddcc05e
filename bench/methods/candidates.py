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

from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.methods.decoding import Decoded, WindowPolicy
from bench.methods.return_conditioned import ReturnConditionedModel
from bench.nn.backbone import Backbone
from bench.seeds import stream_seed

LOWEST_SHARE = 0.5  # of the target asked for: 1,800 of Hopper's 3,600


class CandidateModel(ReturnConditionedModel):
    """A return-conditioned model that predicts for many last returns of one context at once."""

    backbone: Backbone

    @abstractmethod
    def step_tokens(self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor) -> Tensor:
        """(B, tokens, width) what the backbone reads of whole steps (B, L, ·)."""

    @abstractmethod
    def decision_tokens(
        self, returns: Tensor, states: Tensor, before: Tensor, timesteps: Tensor
    ) -> list[Tensor]:
        """[(n, width)] what it reads of a step up to its decision.

        Returns (n, 1), states (n, S), the actions of the step before (n, A), timesteps (n,).
        """

    @abstractmethod
    def head(self, hidden: Tensor) -> Tensor:
        """Predicted actions (n, A) of what the backbone gives (n, width)."""

    def predict_candidates(self, window: dict[str, Tensor], candidates: Tensor) -> Tensor:
        """(B, C, A) predictions at the end of windows without padding, for last returns (B, C) of each."""
        rows, count = candidates.shape
        past = {name: window[name][:, :-1] for name in ("returns", "states", "actions", "timesteps")}
        shared, actions = self.step_tokens(**past), past["actions"]
        before = actions[:, -1] if actions.shape[1] else torch.zeros_like(window["actions"][:, 0])
        present = (window["states"][:, -1], before, window["timesteps"][:, -1])
        own = self.decision_tokens(
            candidates.reshape(-1, 1), *(values.repeat_interleave(count, dim=0) for values in present)
        )
        length = shared.shape[1] + len(own)
        if actions.shape[1]:
            memory = self.backbone.prefill(shared, length=length)[1].forked(count)
        else:
            memory = self.backbone.allocate_state(rows * count, length)
        for token in own:
            hidden, memory = self.backbone.step(token, memory)
        return self.head(hidden).unflatten(0, (rows, count))


class CandidatePolicy(WindowPolicy):
    """Decodes from the last K steps, by the candidate whose action the slow critics value most.

    With `candidate_temperature` above 0 one is drawn instead, by a softmax of the values over it. What is
    drawn for an episode does not depend on which others are over.
    """

    generator: torch.Generator

    def __init__(self, learner: Decoded, episodes: int, generator: torch.Generator | None = None) -> None:
        if generator is None:
            generator = torch.Generator().manual_seed(stream_seed("eval", "candidates"))
        super().__init__(learner, episodes, generator)
        options = learner.options
        self.shares = torch.linspace(1.0, LOWEST_SHARE, options["candidate_targets"], device=self.device)
        self.shape = (episodes, options["candidate_targets"], options["candidates_per_target"])
        self.asked = torch.zeros(episodes, device=self.device)

    def act(
        self, states: NDArray[np.float32], returns: NDArray[np.float32], alive: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """(episodes, A) actions for states (episodes, S) and returns still wanted (episodes,).

        The returns of the first call are the targets asked for. Episodes that are over are not decoded.
        """
        if self.time == 0:
            asked = torch.from_numpy(returns / np.float32(self.learner.options["return_scale"]))
            self.asked = asked.to(self.device)
        return super().act(states, returns, alive)

    def predict(self, window: dict[str, Tensor], rows: Tensor) -> Tensor:
        """(count, A) the action of the chosen candidate of each window, those of the episodes `rows`."""
        options, model = self.learner.options, self.learner.model
        # Drawn where the generator is, so that every device sees the same candidates.
        noise = torch.randn(self.shape, generator=self.generator) * options["candidate_deviation"]
        noise[..., 0] = 0.0
        noise = noise.to(self.device)
        lowered = self.asked[rows][:, None] * (1.0 - self.shares)
        histories = window["returns"][:, None] - lowered[:, :, None, None]
        each = {name: values.repeat_interleave(len(self.shares), dim=0) for name, values in window.items()}
        actions = model.policy.predict_candidates(
            each | {"returns": histories.flatten(0, 1)}, (histories[:, :, -1] + noise[rows]).flatten(0, 1)
        ).view(len(lowered), -1, options["action_dim"])
        states = window["states"][:, -1:].expand(-1, actions.shape[1], -1)
        values = model.lowest_values(states, actions)
        if options["candidate_temperature"] > 0.0:
            # Of values with independent Gumbel noise the largest is drawn as by their softmax.
            drawn = torch.empty(self.shape).exponential_(generator=self.generator).flatten(1)
            values = values / options["candidate_temperature"] - drawn.to(self.device)[rows].log()
        return actions[torch.arange(len(actions), device=self.device), values.argmax(dim=1)]
