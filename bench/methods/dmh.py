"""DM-H: Decision Mamba, hybrid (arXiv 2406.00079, Section 4 and Algorithm 1).

Mamba reads the cross-episode context, one group of tokens each c steps, and recalls a sub-goal; a
transformer predicts the next c actions from it. A second branch trains the transformer on the
*valuable* sub-goal of the data: the later state of the episode with the highest reward per step
on the way there, through a frozen linear map.

Tricks, in the order in which they matter here:
1. Every block of the context is trained in each update (`trained_blocks`, `trained_episodes`).
2. Contexts are random episodes in ascending order of return, actions are sampled at test time.
3. z is read at a block's state, before what the block earned is fed: training sees what a test sees.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods import base
from bench.methods.base import Batch, Observation, OnlineWork, Timed, Trial
from bench.methods.dmh_contexts import BlockContexts
from bench.methods.dmh_model import DMHModel
from bench.methods.dmh_policy import DMHPolicy
from bench.methods.in_context import random_past
from bench.methods.places import taken


class Learner(base.Learner):
    """DM-H, with or without valuable sub-goals."""

    model: DMHModel

    def __init__(self, options: Options) -> None:
        model = DMHModel(options)
        super().__init__(options, model, BlockContexts(model))

    def loss(self, batch: Batch) -> Tensor:
        """Distance to the actions over all real steps: both branches' mean, or z's and half the other's."""
        predicted, targets = self.model(**batch), taken(batch["actions"], batch["real"])
        by_branch = [self.model.space.loss(branch, targets) for branch in predicted.split(len(targets))]
        if self.options["branch_loss"] == "half":
            return by_branch[0] + 0.5 * sum(by_branch[1:])
        return torch.stack(by_branch).mean()

    def clipped(self) -> list[Iterable[nn.Parameter]]:
        """The parameters of both modules together, or of each on its own."""
        if self.options["gradient_norm"] == "module":
            return [self.model.long_term.parameters(), self.model.local.parameters()]
        return super().clipped()

    def unused_parameters(self) -> int:
        """Mamba's embedding of z, its heads of states, rewards and returns, and the embedding of a word.

        The frozen map f is among the authors' parameters too, though its output is detached.
        """
        width = self.options["embedding_dim"]
        embedding_of_z = (2 * self.model.local.goal_size + 1) * width
        heads = (self.model.space.state_features + 2) * (width + 1)
        frozen = sum(parameter.numel() for parameter in self.model.valuable_map.parameters())
        return embedding_of_z + heads + width + frozen

    def policy(self, trial: Trial) -> DMHPolicy:
        """The trained model as a policy."""
        return DMHPolicy(self.model, trial)

    def timed(self, generator: np.random.Generator) -> Timed:
        """A pass over a whole context, and an online test."""
        return Timed(self.model, self.whole_pass(generator), self._online_work)

    def _online_work(self, fill: int, cached: bool, generator: np.random.Generator) -> OnlineWork:
        """One block of c decisions from Mamba's state; nothing of the long context is ever read again."""
        policy = self.policy(Trial(1, torch.Generator().manual_seed(0), temperature=1.0))
        horizon, steps = self.model.space.horizon, self.options["steps_per_subgoal"]
        past = random_past(self.options, fill, generator)
        states = random_past(self.options, horizon, generator).states[:, 0]

        def block() -> None:
            policy.time = 0
            for step in range(steps):
                policy.act(Observation(states[:, step % horizon], np.zeros(1, np.float32), np.ones(1, bool)))
                policy.observe(np.zeros(1, np.float32))

        policy.begin(past)
        block()
        return OnlineWork(lambda: policy.begin(past), block, steps)
