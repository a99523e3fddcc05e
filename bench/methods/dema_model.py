"""The model of DeMa: Mamba blocks between two linear maps, over three tokens a step or one.

`bench.methods.dema` says what each option is; Q-DeMa guides the same model by a critic.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.return_conditioned import (
    ReturnConditionedModel,
    StepEmbeddings,
    action_head,
    interleave,
)
from bench.nn.backbone import Backbone
from bench.nn.mamba import MambaMixer
from bench.nn.state import Memory


class DeMaModel(ReturnConditionedModel):
    """Mamba blocks over the tokens of a window or of a whole trajectory."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        width, inner = options["embedding_dim"], options["d_model"]
        self.temporal = options["tokens"] == "b3ld"
        self.embed = StepEmbeddings(options)
        self.project_in = nn.Linear(width if self.temporal else 3 * width, inner)
        self.dropout = nn.Dropout(options["dropout"])
        sizes = {name: options[name] for name in ("d_state", "d_conv", "expand")}
        self.backbone = Backbone(
            options["layers"],
            inner,
            mixer=lambda _: MambaMixer(inner, **sizes),
            feed_forward=options["activation"] if options["block"] == "post" else None,
            dropout=options["dropout"],
        )
        self.project_out = nn.Linear(inner, width)
        self.predict_action = action_head(options)

    def forward(
        self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor, mask: Tensor
    ) -> Tensor:
        """Predicted actions (B, K, A)."""
        tokens = self._enter(self.join(returns, states, actions, timesteps))
        if self.temporal:
            return self._leave(self.backbone(tokens, mask.repeat_interleave(3, dim=1))[:, 1::3])
        return self._leave(self.backbone(tokens, mask))

    def join(self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor) -> Tensor:
        """(B, 3 K, D) embeddings of the steps' three tokens, or (B, K, 3 D) with the previous action."""
        if self.temporal:
            return interleave(self.embed(returns, states, actions, timesteps))
        previous = torch.cat([torch.zeros_like(actions[:, :1]), actions[:, :-1]], dim=1)
        return torch.cat(self.embed(returns, states, previous, timesteps), dim=-1)

    def step(
        self, returns: Tensor, states: Tensor, last_action: Tensor, timestep: int, memory: Memory
    ) -> tuple[Tensor, Memory]:
        """Predicted action (B, A) from returns (B, 1), states (B, S), the last action (B, A), and memory."""
        if self.temporal:
            tokens = self.embed.decision(returns, states, last_action, timestep)
        else:
            tokens = [torch.cat(self.embed.at(returns, states, last_action, timestep), dim=-1)]
        for token in tokens:
            hidden, memory = self.backbone.step(self._enter(token), memory)
        return self._leave(hidden), memory

    def allocate_state(self, count: int, steps: int) -> Memory:
        """The memory before any step; it has one size whatever the number of steps."""
        return self.backbone.allocate_state(count, steps)

    def _enter(self, tokens: Tensor) -> Tensor:
        entered: Tensor = self.dropout(self.project_in(tokens))
        return entered

    def _leave(self, hidden: Tensor) -> Tensor:
        predicted: Tensor = self.predict_action(self.project_out(hidden))
        return predicted
