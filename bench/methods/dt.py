"""Decision Transformer (Chen et al. 2021), as in its gym code: the baseline of both papers.

Three tokens a step in the order return-to-go, state, action; a learnt embedding of the timestep
is added to all three; the action is read off the state's token, through tanh.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from bench.methods.return_conditioned import ReturnConditionedLearner, StepEmbeddings, interleave
from bench.nn.backbone import Backbone


class DecisionTransformer(nn.Module):
    """GPT-2 blocks over (return-to-go, state, action) tokens."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        width = options["embedding_dim"]
        self.embed = StepEmbeddings(options)
        self.embed_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(options["dropout"])
        self.backbone = Backbone(
            options["layers"], width, mixer="attention", arrangement="post", heads=options["heads"],
            dropout=options["dropout"], activation=options["activation"],
        )  # fmt: skip
        self.predict_action = nn.Sequential(nn.Linear(width, options["action_dim"]), nn.Tanh())

    def forward(
        self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor, mask: Tensor
    ) -> Tensor:
        """Predicted actions (B, K, A)."""
        tokens = self.embed_norm(interleave(self.embed(returns, states, actions, timesteps)))
        hidden = self.backbone(self.dropout(tokens), mask.repeat_interleave(3, dim=1))
        predicted: Tensor = self.predict_action(hidden[:, 1::3])
        return predicted


class Learner(ReturnConditionedLearner):
    """Decision Transformer on windows of K steps."""

    def make_model(self) -> nn.Module:
        """The model, freshly initialised."""
        return DecisionTransformer(self.options)
