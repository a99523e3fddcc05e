"""The two modules of DM-H: Mamba over the long cross-episode context, a transformer over c steps.

Shapes: B contexts, M triples of the longest, S trained blocks, c steps a sub-goal, A `action_dim`,
D `embedding_dim`. Equations are the paper's (arXiv 2406.00079), Section 4.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.backbones import PositionedModel, mamba, transformer
from bench.methods.in_context import NormedLinear, RewardEmbedding, StepEmbedding, normaliser_of
from bench.methods.spaces import space_of
from bench.nn.state import Memory

LOG_STD_RANGE = (-5.0, 2.0)


class LongTermModule(nn.Module):
    """Mamba over one (state, reward sum, completion) triple each c steps (equation 5); gives the sub-goals z.

    `long_token=literal` makes three tokens of a triple and reads z off the third; `rich` makes one
    token of it, which also holds the c states and rewards of the block that just ended.
    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        width, self.space = options["embedding_dim"], space_of(options)
        self.literal = options["long_token"] == "literal"
        self.per_triple = 3 if self.literal else 1
        self.sampled = options["subgoal"] == "sampled"
        self.state_embedding = NormedLinear(self.space.state_features, width)
        self.reward_embedding = RewardEmbedding(options)
        self.completion_embedding = NormedLinear(2, width)
        features = options["steps_per_subgoal"] * (self.space.state_features + 1)
        self.block_embedding = None if self.literal else NormedLinear(features, width)
        self.backbone = mamba(options, options["mamba_layers"])
        self.head = nn.Linear(width, 2 * width)
        with torch.no_grad():
            self.head.bias[width:] += math.log(options["subgoal_deviation"])

    def block_features(self, states: Tensor, rewards: Tensor) -> Tensor:
        """(..., c * (state_features + 1)) of a block's states (..., c, S) and rewards (..., c)."""
        coded = self.space.encode_states(states)
        return torch.cat([coded, rewards.unsqueeze(-1)], dim=-1).flatten(-2)

    def tokens(
        self, states: Tensor, sums: Tensor, completed: Tensor, passed_states: Tensor, passed_rewards: Tensor
    ) -> Tensor:
        """Tokens of triples, (..., tokens a triple, D).

        states (..., S), sums (...) floats, completed (...) booleans, passed_states (..., c, S) and
        passed_rewards (..., c): the block before; NaN rewards say that there was none.
        """
        state = self.state_embedding(self.space.encode_states(states))
        reward = self.reward_embedding(sums)
        completion = self.completion_embedding(nn.functional.one_hot(completed.long(), 2).float())
        if self.block_embedding is None:
            return torch.stack([state, reward, completion], dim=-2)
        first = passed_rewards[..., :1].isnan()
        block = self.block_features(passed_states, passed_rewards).masked_fill(first, 0.0)
        return (state + reward + completion + self.block_embedding(block)).unsqueeze(-2)

    def sub_goal(self, hidden: Tensor, noise: Tensor) -> Tensor:
        """Z (..., D), drawn from the Gaussian the hidden state (..., D) parameterises, or its mean."""
        mean, log_std = self.head(hidden).chunk(2, dim=-1)
        if not self.sampled:
            return mean
        return mean + log_std.clamp(*LOG_STD_RANGE).exp() * noise


class LocalModule(PositionedModel):
    """A causal transformer over the c steps of a block, told a sub-goal (equations 6 and 7).

    `local_tokens=literal` makes four tokens a step (sub-goal, state, action, reward) and reads the
    action off the state's; `merged` makes one, of the sub-goal, s_t, a_{t-1} and r_{t-1}.
    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        width, self.steps = options["embedding_dim"], options["steps_per_subgoal"]
        space = space_of(options)
        self.literal = options["local_tokens"] == "literal"
        self.per_step = 4 if self.literal else 1
        self.embed = StepEmbedding(space, options)
        self.goal_norm = nn.LayerNorm(width)
        self.make_positions(self.steps * self.per_step, width, True, options["dropout"])
        self.backbone = transformer(options, options["transformer_layers"])
        self.head = space.head(width)

    def forward(self, goals: Tensor, states: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
        """Logits or actions (S, c, A).

        Sub-goals (S, D), states (S, c, ...), actions (S, c, ...), rewards (S, c).
        """
        goal = self.goal_norm(goals).unsqueeze(1).expand(-1, self.steps, -1)
        state = self.embed.state(states)
        if self.literal:
            action = self.embed.action(self.embed.space.encode_actions(actions))
            tokens = torch.stack([goal, state, action, self.embed.reward(rewards)], dim=2).flatten(1, 2)
            hidden = self._run(tokens)[:, 1::4]
        else:
            hidden = self._run(goal + state + self.embed.before(actions, rewards))
        predicted: Tensor = self.head(hidden)
        return predicted

    def _run(self, tokens: Tensor) -> Tensor:
        hidden: Tensor = self.backbone(self.placed_from_first(tokens))
        return hidden

    def begin(self, sequences: int) -> tuple[Memory, int]:
        """The state before a block: an empty cache and the position 0."""
        return self.backbone.allocate_state(sequences, self.steps * self.per_step), 0

    def step(
        self,
        goals: Tensor,
        states: Tensor,
        last: tuple[Tensor, Tensor] | None,
        cache: tuple[Memory, int],
    ) -> tuple[Tensor, tuple[Memory, int]]:
        """Logits or actions (count, A); `last`: the last action and reward, if they are of this block."""
        goal, state, space = self.goal_norm(goals), self.embed.state(states), self.embed.space
        code = (
            space.no_action(len(goals), device=goals.device)
            if last is None
            else space.encode_actions(last[0])
        )
        action = self.embed.action(code)
        reward = self.embed.reward(goals.new_zeros(len(goals)) if last is None else last[1])
        if self.literal:
            tokens = [goal, state] if last is None else [action, reward, goal, state]
        else:
            tokens = [goal + state + action + reward]
        blocks, position = cache
        for token in tokens:
            hidden, blocks = self.backbone.step(self.placed(token, position), blocks)
            position += 1
        return self.head(hidden), (blocks, position)


class DMHModel(nn.Module):
    """Both modules, and the frozen linear map f that turns a valuable state into a sub-goal."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options
        self.long_term = LongTermModule(options)
        self.local = LocalModule(options)
        self.normaliser = normaliser_of(self.long_term.space, options)
        self.valuable_map = nn.Linear(self.long_term.space.state_features, options["embedding_dim"])
        self.valuable_map.requires_grad_(False)

    def forward(
        self,
        triple_states: Tensor,
        triple_sums: Tensor,
        triple_completed: Tensor,
        passed_states: Tensor,
        passed_rewards: Tensor,
        trained: Tensor,
        noise: Tensor,
        states: Tensor,
        actions: Tensor,
        rewards: Tensor,
        inside: Tensor,
        valuable_states: Tensor,
    ) -> Tensor:
        """Logits or actions of every real step of the trained blocks, (branches * real steps, A).

        triple_*, passed_*: (B, M, ...) the long-term sequence, shorter rows padded behind; trained (S,):
        indices into the flattened (B * M) sub-goals, of the blocks trained in this update; noise (S, D): the
        Gaussian sample of z; states (S, c, ...), actions (S, c, ...), rewards (S, c): their steps, inside
        (S, c) whether they are in the episode; valuable_states (S, ...): the valuable sub-goal of each, or
        none for training without. The branch of z comes first, the branch of f(s^g) second.
        """
        long = self.long_term
        tokens = long.tokens(triple_states, triple_sums, triple_completed, passed_states, passed_rewards)
        hidden = long.backbone(tokens.flatten(1, 2))[:, long.per_triple - 1 :: long.per_triple]
        goals = long.sub_goal(hidden.flatten(0, 1)[trained], noise)
        if len(valuable_states):
            goals = torch.cat([goals, self.valuable_map(long.space.encode_states(valuable_states))])
            states, actions, rewards, inside = (torch.cat([x, x]) for x in (states, actions, rewards, inside))
        predicted: Tensor = self.local(goals, states, actions, rewards)[inside]
        return predicted
