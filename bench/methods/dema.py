"""DeMa: Decision Mamba (arXiv 2405.12094): Mamba blocks in place of the transformer's.

- `tokens=b3ld`: three tokens a step along time, in the order return-to-go, state, action; the
  action is read off the state's token. `bl3d`: return-to-go, state and the *previous* action are
  concatenated along the features into one token a step (Section 4.1, Table 2).
- `mode=window` (Transformer-like): the last K steps, in training and in decoding.
  `recurrent` (RNN-like): trained on whole trajectories, decoded from the stored hidden state.
- `block=pre`: up-projection inside the mixer and no feed-forward layer (DeMa). `post`: the mixer
  in the attention's place of a transformer block, with its feed-forward layer ("with post.").
- No position embedding (Appendix G) unless `position_embedding` asks for DT's.
Token embeddings have width `embedding_dim`; the blocks work at `d_model`, between two linear maps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch
from bench.methods.decoding import ReturnConditionedPolicy, StepPolicy
from bench.methods.return_conditioned import (
    ReturnConditionedLearner,
    ReturnConditionedModel,
    StepEmbeddings,
    action_head,
    interleave,
)
from bench.nn.backbone import Backbone


class DeMaModel(ReturnConditionedModel):
    """Mamba blocks over the tokens of a window or of a whole trajectory."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        width, inner = options["embedding_dim"], options["d_model"]
        self.temporal = options["tokens"] == "b3ld"
        self.embed = StepEmbeddings(options)
        self.project_in = nn.Linear(width if self.temporal else 3 * width, inner)
        self.dropout = nn.Dropout(options["dropout"])
        self.backbone = Backbone(
            options["layers"], inner, mixer="mamba", arrangement=options["block"], d_state=options["d_state"],
            d_conv=options["d_conv"], expand=options["expand"], dropout=options["dropout"],
            activation=options["activation"],
        )  # fmt: skip
        self.project_out = nn.Linear(inner, width)
        self.predict_action = action_head(options)

    def forward(
        self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor, mask: Tensor
    ) -> Tensor:
        """Predicted actions (B, K, A)."""
        if not self.temporal:
            actions = torch.cat([torch.zeros_like(actions[:, :1]), actions[:, :-1]], dim=1)
        embedded = self.embed(returns, states, actions, timesteps)
        if self.temporal:
            hidden = self.backbone(self._enter(interleave(embedded)), mask.repeat_interleave(3, dim=1))[
                :, 1::3
            ]
        else:
            hidden = self.backbone(self._enter(torch.cat(embedded, dim=-1)), mask)
        return self._leave(hidden)

    def step(
        self, returns: Tensor, states: Tensor, before: Tensor, timestep: int, memory: list[Any]
    ) -> tuple[Tensor, list[Any]]:
        """Predicted action (B, A) from returns (B, 1), states (B, S), the last action (B, A), and memory."""
        if self.temporal:
            tokens = self.embed.decision(returns, states, before, timestep)
        else:
            tokens = [torch.cat(self.embed.at(returns, states, before, timestep), dim=-1)]
        for token in tokens:
            hidden, memory = self.backbone.step(self._enter(token), memory)
        return self._leave(hidden), memory

    def allocate_state(self, episodes: int, steps: int) -> list[Any]:
        """The memory before any step; it has one size whatever the number of steps."""
        return self.backbone.allocate_state(episodes, steps)

    def _enter(self, tokens: Tensor) -> Tensor:
        entered: Tensor = self.dropout(self.project_in(tokens))
        return entered

    def _leave(self, hidden: Tensor) -> Tensor:
        predicted: Tensor = self.predict_action(self.project_out(hidden))
        return predicted


class Learner(ReturnConditionedLearner):
    """DeMa on windows of K steps, or on whole trajectories."""

    model: DeMaModel

    def make_model(self) -> DeMaModel:
        """The model, freshly initialised."""
        return DeMaModel(self.options)

    def batch(self, dataset: Trajectories, generator: np.random.Generator) -> Batch:
        """Windows (`mode=window`), or whole trajectories padded to the longest (`mode=recurrent`)."""
        if self.options["mode"] == "window":
            return super().batch(dataset, generator)
        chosen = self.draw_trajectories(dataset, generator)
        start, end = dataset.starts[chosen], dataset.starts[chosen + 1]
        return self._gather(dataset, start, start, end, int((end - start).max()))

    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Random windows, or whole episodes (`mode=recurrent`)."""
        if self.options["mode"] == "window":
            return super().synthetic_batch(sequences, generator)
        return self.random_windows(sequences, self.options["max_episode_steps"], generator)

    def decision(self, generator: np.random.Generator) -> Callable[[], Any]:
        """A pass over the window, or one step from the hidden state (`mode=recurrent`)."""
        if self.options["mode"] == "window":
            return super().decision(generator)
        policy = self.policy(1)
        states = generator.standard_normal((1, self.options["observation_dim"]), dtype=np.float32)
        return lambda: policy.act(states, np.ones(1, np.float32), np.ones(1, bool))

    def policy(
        self, episodes: int, cached: bool = True, generator: torch.Generator | None = None
    ) -> ReturnConditionedPolicy:
        """The trained model as a policy for `episodes` environments at once."""
        if self.options["mode"] == "window":
            return super().policy(episodes, cached, generator)
        return StepPolicy(self, episodes, self.options["max_episode_steps"], generator)
