"""QT: Q-value regularised Transformer (Hu et al. 2024): a Decision Transformer guided by critics.

The policy reads return-to-go, state and action of each step as three tokens (`bench.methods.three_token`);
losses and decoding are those of `bench.methods.value_guided`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bench.methods.backbones import transformer
from bench.methods.candidates import CandidateModel
from bench.methods.return_conditioned import interleave
from bench.methods.three_token import ThreeTokenModel
from bench.methods.value_guided import ValueGuidedLearner
from bench.nn.backbone import Backbone


class TransformerPolicy(ThreeTokenModel, CandidateModel):
    """GPT-2 blocks over three tokens a step."""

    backbone: Backbone

    def step_tokens(self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor) -> Tensor:
        """(B, 3 L, D) tokens of whole steps."""
        return self._enter(interleave(self.embed(returns, states, actions, timesteps)))

    def decision_tokens(
        self, returns: Tensor, states: Tensor, before: Tensor, timesteps: Tensor
    ) -> list[Tensor]:
        """Return and state, each (n, D); the action before them is a token of its own step."""
        return [self._enter(token) for token in self.embed(returns, states, before, timesteps)[:2]]

    def head(self, hidden: Tensor) -> Tensor:
        """Predicted actions (n, A) of hidden states (n, D)."""
        return self._leave(hidden)


class Learner(ValueGuidedLearner):
    """QT on windows of K steps."""

    def make_policy(self, options: dict[str, Any]) -> TransformerPolicy:
        """A Decision Transformer, freshly initialised."""
        return TransformerPolicy(options, lambda: transformer(options, options["layers"]))
