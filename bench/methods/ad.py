"""Algorithm Distillation (Laskin et al. 2023): a sequence model imitates a learner's whole history.

The context holds `context_episodes` episodes of one task; every action in it is predicted from
everything before it, and the loss is the cross-entropy to the action the learner took. At test
time the model acts in an unseen task, its own past episodes as context, without any update.

Tricks, in the order in which they matter here:
1. Training contexts are random episodes of a history in ascending order of return
   (`context_selection`, `context_order`); neighbouring episodes show no progress to learn from.
2. Actions are sampled at test time (`temperature`); the likeliest action does not explore.
3. `step_tokens=separate`: tokens s_t, a_t, r_t of each step; a_t is read off the s_t token.
   `merged`: one token a step, of s_t, a_{t-1} and r_{t-1}; a third of the length.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.datasets.histories import Histories
from bench.envs.gridworld import ACTIONS
from bench.methods.base import Batch, Learner
from bench.methods.in_context import (
    Episodes,
    StepEmbedding,
    draw_contexts,
    episode_tensors,
    random_episodes,
    sample_actions,
)
from bench.nn.backbone import Backbone


class ADModel(nn.Module):
    """Embeddings, a causal backbone over the whole context, and an action head.

    Args:
        backbone: maps (B, tokens, D) to the same, causally.
        options: room_side, horizon, context_episodes, step_tokens, embedding_dim, dropout.
        positions: whether a learnt position embedding is added.
    """

    def __init__(self, backbone: Backbone, options: dict[str, Any], positions: bool) -> None:
        super().__init__()
        width = options["embedding_dim"]
        self.merged = options["step_tokens"] == "merged"
        self.max_tokens = options["context_episodes"] * options["horizon"] * (1 if self.merged else 3)
        self.embed = StepEmbedding(options["room_side"], width)
        self.position = nn.Parameter(0.02 * torch.randn(self.max_tokens, width)) if positions else None
        self.dropout = nn.Dropout(options["dropout"])
        self.backbone = backbone
        self.head = nn.Linear(width, ACTIONS)

    def tokens(self, positions: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
        """Tokens of whole episodes, (B, E * T * tokens a step, D), positions not yet added.

        positions (B, E, T, 2), actions and rewards (B, E, T).
        """
        state = self.embed.state(positions.flatten(1, 2))
        actions, rewards = actions.flatten(1), rewards.flatten(1)
        if not self.merged:
            return torch.stack(
                [state, self.embed.action(actions), self.embed.reward(rewards)], dim=2
            ).flatten(1, 2)
        before = torch.cat([torch.full_like(actions[:, :1], ACTIONS), actions[:, :-1]], dim=1)
        earned = torch.cat([torch.zeros_like(rewards[:, :1]), rewards[:, :-1]], dim=1)
        return state + self.embed.action(before) + self.embed.reward(earned)

    def placed(self, tokens: Tensor, offset: int = 0) -> Tensor:
        """Add position embeddings from `offset` on, then dropout."""
        if self.position is not None:
            tokens = tokens + self.position[offset : offset + tokens.shape[1]]
        dropped: Tensor = self.dropout(tokens)
        return dropped

    def forward(self, positions: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
        """Logits (B, E * T, ACTIONS) of every action of the episodes, each from what came before it."""
        hidden = self.backbone(self.placed(self.tokens(positions, actions, rewards)))
        logits: Tensor = self.head(hidden if self.merged else hidden[:, 0::3])
        return logits


class ADLearner(Learner):
    """Algorithm Distillation over a given backbone."""

    def __init__(self, options: dict[str, Any], backbone: Backbone, positions: bool) -> None:
        super().__init__(options)
        self.model: ADModel = ADModel(backbone, options, positions)

    def prepare(self, dataset: Histories) -> None:
        """Nothing to take from the histories."""

    def batch(self, dataset: Histories, generator: np.random.Generator) -> Batch:
        """Contexts of `batch_size` random training tasks."""
        return self._batch(draw_contexts(dataset, self.options, self.options["batch_size"], generator))

    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Full contexts with random content."""
        return self._batch(
            random_episodes(self.options, sequences, self.options["context_episodes"], generator)
        )

    @staticmethod
    def _batch(episodes: Episodes) -> Batch:
        positions, actions, rewards = episode_tensors(episodes)
        return {"positions": positions[:, :, :-1], "actions": actions, "rewards": rewards}

    def loss(self, batch: Batch) -> Tensor:
        """Mean cross-entropy of the learner's actions."""
        logits = self.model(**batch)
        return nn.functional.cross_entropy(logits.flatten(0, 1), batch["actions"].flatten())

    def policy(self, rooms: int) -> ADPolicy:
        """The trained model as a policy for `rooms` rooms at once."""
        return ADPolicy(self.model, self.options, rooms)


class ADPolicy:
    """Acts in a batch of rooms, token by token from a recurrent state or a key-value cache."""

    def __init__(self, model: ADModel, options: dict[str, Any], rooms: int) -> None:
        self.model, self.options, self.rooms = model.eval(), options, rooms

    def begin(self, past: Episodes) -> None:
        """Start an episode: `past` holds all earlier ones; the last `context_episodes` - 1 are read."""
        keep = self.options["context_episodes"] - 1
        count = past.actions.shape[1]
        latest = np.tile(np.arange(max(count - keep, 0), count), (self.rooms, 1))
        context = past.take(latest).ordered(self.options["context_order"])
        self.states = self.model.backbone.allocate_state(self.rooms, self.model.max_tokens)
        self.position = 0
        self.pending: tuple[Tensor, Tensor] | None = None
        if latest.shape[1]:
            positions, actions, rewards = episode_tensors(context)
            tokens = self.model.tokens(positions[:, :, :-1], actions, rewards)
            for index in range(tokens.shape[1]):
                self._feed(tokens[:, index])
            if self.model.merged:
                self.pending = actions[:, -1, -1], rewards[:, -1, -1]

    def _feed(self, token: Tensor) -> Tensor:
        placed = self.model.placed(token.unsqueeze(1), self.position).squeeze(1)
        hidden, self.states = self.model.backbone.step(placed, self.states)
        self.position += 1
        return hidden

    def act(
        self, positions: NDArray[np.int64], temperature: float, generator: torch.Generator
    ) -> NDArray[np.int64]:
        """(rooms,) actions for (rooms, 2) coordinates."""
        state = self.model.embed.state(torch.from_numpy(positions))
        if self.model.merged:
            missing = torch.full((self.rooms,), ACTIONS), torch.zeros(self.rooms)
            action, reward = self.pending or missing
            state = state + self.model.embed.action(action) + self.model.embed.reward(reward)
        elif self.pending is not None:
            self._feed(self.model.embed.action(self.pending[0]))
            self._feed(self.model.embed.reward(self.pending[1]))
        logits = self.model.head(self._feed(state))
        self.chosen = sample_actions(logits, temperature, generator)
        return self.chosen

    def observe(self, rewards: NDArray[np.float32]) -> None:
        """Take in the (rooms,) rewards of the actions just chosen."""
        self.pending = torch.from_numpy(self.chosen), torch.from_numpy(rewards)
