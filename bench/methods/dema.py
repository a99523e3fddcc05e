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
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch
from bench.methods.return_conditioned import (
    Floats,
    ReturnConditionedLearner,
    ReturnConditionedPolicy,
    StepEmbeddings,
    WindowPolicy,
    interleave,
)
from bench.nn.backbone import Backbone


class DeMaModel(nn.Module):
    """Mamba blocks over the tokens of a window or of a whole trajectory."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        width, inner = options["embedding_dim"], options["d_model"]
        self.temporal, self.last = options["tokens"] == "b3ld", options["max_timestep"] - 1
        self.embed = StepEmbeddings(options)
        self.project_in = nn.Linear(width if self.temporal else 3 * width, inner)
        self.dropout = nn.Dropout(options["dropout"])
        self.backbone = Backbone(
            options["layers"], inner, mixer="mamba", arrangement=options["block"], d_state=options["d_state"],
            d_conv=options["d_conv"], expand=options["expand"], dropout=options["dropout"],
            activation=options["activation"],
        )  # fmt: skip
        self.project_out = nn.Linear(inner, width)
        self.predict_action = nn.Sequential(nn.Linear(width, options["action_dim"]), nn.Tanh())

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
        now = torch.full((len(states),), timestep)
        embedded = self.embed(returns, states, before, now.clamp(max=self.last))
        if not self.temporal:
            hidden, memory = self.backbone.step(self._enter(torch.cat(embedded, dim=-1)), memory)
            return self._leave(hidden), memory
        tokens = embedded[:2]
        if timestep > 0:
            # The action token belongs to the step before, and so does its timestep embedding.
            tokens = [self.embed(returns, states, before, (now - 1).clamp(max=self.last))[2], *tokens]
        for token in tokens:
            hidden, memory = self.backbone.step(self._enter(token), memory)
        return self._leave(hidden), memory

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
        chosen = generator.integers(len(dataset), size=self.options["batch_size"])
        start, end = dataset.starts[chosen], dataset.starts[chosen + 1]
        return self._gather(dataset, start, start, end, int((end - start).max()))

    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Random windows, or whole trajectories of `max_timestep` steps (`mode=recurrent`)."""
        if self.options["mode"] == "window":
            return super().synthetic_batch(sequences, generator)
        return self.random_windows(sequences, self.options["max_timestep"], generator)

    def decision(self, generator: np.random.Generator) -> Callable[[], Any]:
        """A pass over the window, or one step from the hidden state (`mode=recurrent`)."""
        if self.options["mode"] == "window":
            return super().decision(generator)
        policy = RecurrentPolicy(self, 1)
        states = generator.standard_normal((1, self.options["observation_dim"]), dtype=np.float32)
        return lambda: policy.act(states, np.ones(1, np.float32), np.ones(1, bool))

    def policy(self, episodes: int) -> ReturnConditionedPolicy:
        """The trained model as a policy for `episodes` environments at once."""
        if self.options["mode"] == "window":
            return WindowPolicy(self, episodes)
        return RecurrentPolicy(self, episodes)


class RecurrentPolicy:
    """Decodes from the hidden state alone: the cost of a decision does not grow with the episode."""

    def __init__(self, learner: Learner, episodes: int) -> None:
        self.learner = learner
        self.memory = learner.model.backbone.allocate_state(episodes, 0)
        self.before = torch.zeros(episodes, learner.options["action_dim"])
        self.time = 0

    def act(self, states: Floats, returns: Floats, alive: NDArray[np.bool_]) -> Floats:
        """(episodes, A) actions; episodes that are over are decoded too, which costs almost nothing."""
        options = self.learner.options
        scaled = torch.from_numpy(returns / np.float32(options["return_scale"])).unsqueeze(-1)
        normalised = torch.from_numpy(self.learner.normalise(states))
        self.before, self.memory = self.learner.model.step(
            scaled, normalised, self.before, self.time, self.memory
        )
        self.time += 1
        chosen: Floats = self.before.numpy().copy()
        return chosen
