"""The two modules of DM-H: Mamba over the long cross-episode context, a transformer over c steps.

Shapes: B contexts, E episodes, T steps an episode, c steps a sub-goal, n = ceil(T / c) blocks an
episode, D `embedding_dim`. Equations are the paper's (arXiv 2406.00079), Section 4.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bench.envs.gridworld import ACTIONS
from bench.methods.in_context import Modality, StepEmbedding, one_hot_position
from bench.nn.backbone import Backbone

LOG_STD_RANGE = (-5.0, 2.0)


class LongTermModule(nn.Module):
    """Mamba over one (state, reward sum, completion) triple each c steps (equation 5); gives the sub-goals z.

    `long_token=literal` makes three tokens of a triple and reads z off the third; `rich` makes one
    token of it, which also holds the c states and rewards of the block that just ended.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        width, self.side = options["embedding_dim"], options["room_side"]
        self.literal = options["long_token"] == "literal"
        self.sampled = options["subgoal"] == "sampled"
        self.state_embedding = Modality(2 * self.side, width)
        self.reward_embedding = Modality(1, width)
        self.completion_embedding = Modality(2, width)
        features = options["steps_per_subgoal"] * (2 * self.side + 1)
        self.block_embedding = None if self.literal else Modality(features, width)
        self.backbone = Backbone(
            options["mamba_layers"], width, mixer="mamba", arrangement="pre", d_state=options["d_state"],
            d_conv=options["d_conv"], expand=options["expand"], dropout=options["dropout"],
        )  # fmt: skip
        self.head = nn.Linear(width, 2 * width)

    def tokens(self, states: Tensor, sums: Tensor, completed: Tensor, block: Tensor) -> Tensor:
        """Tokens of triples, (..., tokens a triple, D).

        states (..., 2) integers, sums (...) floats, completed (...) booleans, block (..., c * (2 side + 1)).
        """
        state = self.state_embedding(one_hot_position(states, self.side))
        reward = self.reward_embedding(sums.unsqueeze(-1))
        completion = self.completion_embedding(nn.functional.one_hot(completed.long(), 2).float())
        if self.block_embedding is None:
            return torch.stack([state, reward, completion], dim=-2)
        return (state + reward + completion + self.block_embedding(block)).unsqueeze(-2)

    def sub_goal(self, hidden: Tensor, noise: Tensor) -> Tensor:
        """Z (..., D), drawn from the Gaussian the hidden state (..., D) parameterises, or its mean."""
        mean, log_std = self.head(hidden).chunk(2, dim=-1)
        if not self.sampled:
            return mean
        return mean + log_std.clamp(*LOG_STD_RANGE).exp() * noise


class LocalModule(nn.Module):
    """A causal transformer over the c steps of a block, told a sub-goal (equations 6 and 7).

    `local_tokens=literal` makes four tokens a step (sub-goal, state, action, reward) and reads the
    action off the state's; `merged` makes one, of the sub-goal, s_t, a_{t-1} and r_{t-1}.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        width, self.steps = options["embedding_dim"], options["steps_per_subgoal"]
        self.literal = options["local_tokens"] == "literal"
        self.per_step = 4 if self.literal else 1
        self.embed = StepEmbedding(options["room_side"], width)
        self.goal_norm = nn.LayerNorm(width)
        self.position = nn.Parameter(0.02 * torch.randn(self.steps * self.per_step, width))
        self.dropout = nn.Dropout(options["dropout"])
        self.backbone = Backbone(
            options["transformer_layers"], width, mixer="attention", arrangement="post",
            heads=options["heads"], dropout=options["dropout"], activation=options["activation"],
        )  # fmt: skip
        self.head = nn.Linear(width, ACTIONS)

    def forward(self, goals: Tensor, states: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
        """Logits (S, c, ACTIONS) for sub-goals (S, D), states (S, c, 2), actions and rewards (S, c)."""
        goal = self.goal_norm(goals).unsqueeze(1).expand(-1, self.steps, -1)
        state = self.embed.state(states)
        if self.literal:
            parts = [goal, state, self.embed.action(actions), self.embed.reward(rewards)]
            hidden = self._run(torch.stack(parts, dim=2).flatten(1, 2))[:, 1::4]
        else:
            before = torch.cat([torch.full_like(actions[:, :1], ACTIONS), actions[:, :-1]], dim=1)
            earned = torch.cat([torch.zeros_like(rewards[:, :1]), rewards[:, :-1]], dim=1)
            hidden = self._run(goal + state + self.embed.action(before) + self.embed.reward(earned))
        logits: Tensor = self.head(hidden)
        return logits

    def _run(self, tokens: Tensor) -> Tensor:
        hidden: Tensor = self.backbone(self.dropout(tokens + self.position))
        return hidden

    def begin(self, sequences: int) -> tuple[list[Any], int]:
        """The state before a block: an empty cache and the position 0."""
        return self.backbone.allocate_state(sequences, self.steps * self.per_step), 0

    def step(
        self,
        goals: Tensor,
        states: Tensor,
        before: tuple[Tensor, Tensor] | None,
        cache: tuple[list[Any], int],
    ) -> tuple[Tensor, tuple[list[Any], int]]:
        """Logits (S, ACTIONS) of the next action; `before`: the last action and reward, if in this block."""
        goal, state = self.goal_norm(goals), self.embed.state(states)
        if self.literal:
            tokens = [] if before is None else [self.embed.action(before[0]), self.embed.reward(before[1])]
            tokens += [goal, state]
        else:
            none = torch.full((len(goals),), ACTIONS), torch.zeros(len(goals))
            action, reward = before or none
            tokens = [goal + state + self.embed.action(action) + self.embed.reward(reward)]
        blocks, position = cache
        for token in tokens:
            hidden, blocks = self.backbone.step(token + self.position[position], blocks)
            position += 1
        return self.head(hidden), (blocks, position)


class DMHModel(nn.Module):
    """Both modules, and the frozen linear map f that turns a valuable state into a sub-goal."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.long_term = LongTermModule(options)
        self.local = LocalModule(options)
        self.valuable_map = nn.Linear(2 * options["room_side"], options["embedding_dim"])
        self.valuable_map.requires_grad_(False)

    def forward(
        self,
        triple_states: Tensor,
        triple_sums: Tensor,
        triple_completed: Tensor,
        triple_blocks: Tensor,
        trained: Tensor,
        noise: Tensor,
        states: Tensor,
        actions: Tensor,
        rewards: Tensor,
        valuable_states: Tensor,
    ) -> Tensor:
        """Logits of every action of the trained blocks, (branches * S, c, ACTIONS).

        triple_*: (B, triples, ...) the long-term sequence; trained (S,): indices into the flattened
        (B * triples) sub-goals, of the blocks trained in this update; noise (S, D): the Gaussian
        sample of z; states (S, c, 2), actions, rewards (S, c): their steps; valuable_states (S, 2):
        the valuable sub-goal of each, or (0, 2) for training without. The branch of z comes first,
        the branch of f(s^g) second.
        """
        tokens = self.long_term.tokens(triple_states, triple_sums, triple_completed, triple_blocks)
        per_triple = tokens.shape[2]
        hidden = self.long_term.backbone(tokens.flatten(1, 2))[:, per_triple - 1 :: per_triple]
        goals = self.long_term.sub_goal(hidden.flatten(0, 1)[trained], noise)
        if len(valuable_states):
            valuable = self.valuable_map(one_hot_position(valuable_states, self.long_term.side))
            goals = torch.cat([goals, valuable])
            states, actions, rewards = (torch.cat([x, x]) for x in (states, actions, rewards))
        logits: Tensor = self.local(goals, states, actions, rewards)
        return logits
