"""Q-DeMa (DeMa Appendix H): QT with DeMa in the place of its Transformer, on windows of K steps."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.catalogue.option_types import Options
from bench.methods.candidates import CandidateModel
from bench.methods.dema_model import DeMaModel
from bench.methods.q_guided import QGuidedLearner


class DeMaPolicy(DeMaModel, CandidateModel):
    """Mamba blocks over three tokens a step, or one."""

    def step_tokens(self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor) -> Tensor:
        """(B, 3 L, d_model) tokens of whole steps, or (B, L, d_model) with `tokens=bl3d`."""
        return self._enter(self.join(returns, states, actions, timesteps))

    def decision_tokens(
        self, returns: Tensor, states: Tensor, last_action: Tensor, timesteps: Tensor
    ) -> list[Tensor]:
        """Return and state, each (n, d_model); with `tokens=bl3d` one token of both and the action before."""
        embedded = self.embed(returns, states, last_action, timesteps)
        own = embedded[:2] if self.temporal else [torch.cat(embedded, dim=-1)]
        return [self._enter(token) for token in own]

    def head(self, hidden: Tensor) -> Tensor:
        """Predicted actions (n, A) of hidden states (n, d_model)."""
        return self._leave(hidden)


class Learner(QGuidedLearner):
    """DeMa guided by critics."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, DeMaPolicy)
