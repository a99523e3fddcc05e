"""DM-H's long-term module: Mamba over the cross-episode context, one group of tokens each c steps.

Shapes: c steps a block, F `state_features`, D `embedding_dim`, Z numbers of a sub-goal. Equations are those
of arXiv 2406.00079, Section 4.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.dmh_embeddings import Embeddings
from bench.methods.spaces import space_of
from bench.nn.backbone import Backbone
from bench.nn.mamba import MambaMixer

LOG_STD_RANGE = (-5.0, 2.0)
COMPLETION_ROWS = 3  # of the authors' table: going on, completed, and padding, which is never read here


def subgoal_size(options: Options) -> int:
    """Z, the numbers of a sub-goal: as many as a state has, or the width."""
    by_state = options["subgoal_size"] == "state"
    return space_of(options).state_features if by_state else options["embedding_dim"]


class LongTermModule(nn.Module):
    """Mamba over blocks of c steps (equation 5), and the Gaussian from which sub-goals are drawn.

    A block's tokens are its first state, then, fed after acting, the sum of its own rewards and its
    completion; z is read at the state. `block_target_return` puts the return to go before the state.
    `long_tokens=rich` makes one token of the two last, which holds the states and rewards of all steps, too.
    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        width, self.space = options["embedding_dim"], space_of(options)
        self.rich = options["long_tokens"] == "rich"
        self.told_return, self.return_scale = options["block_target_return"], options["return_scale"]
        self.reward_scale = options["reward_scale"]
        self.state_place = int(self.told_return)
        self.per_block = self.state_place + (2 if self.rich else 3)
        rows = options["completion_embedding"] == "rows"
        maps: dict[str, nn.Module] = {
            "state": nn.Linear(self.space.state_features, width),
            "reward_sum": nn.Linear(1, width),
            "completion": nn.Embedding(COMPLETION_ROWS, width) if rows else nn.Linear(2, width),
        }
        if self.told_return:
            maps["return"] = nn.Linear(1, width)
        if self.rich:
            maps["block"] = nn.Linear(options["steps_per_subgoal"] * (self.space.state_features + 1), width)
        self.embed = Embeddings(maps, width, options["embedding_norm"] == "shared")
        self.completion_rows = rows
        sizes = {name: options[name] for name in ("d_state", "d_conv", "expand")}
        least = options["step_size_minimum"]
        self.backbone = Backbone(
            options["mamba_layers"],
            width,
            mixer=lambda _: MambaMixer(width, **sizes, step_size_minimum=least),
            norm=options["norm"],
        )
        self.goals = Gaussian(options, width)

    def before_acting(self, returns: Tensor, states: Tensor) -> Tensor:
        """Tokens (..., 1 or 2, D) of a block that begins: returns to go (...) and states (..., S).

        The last of them is the state's, at whose output z is read.
        """
        state = self.embed("state", self.space.encode_states(states))
        if not self.told_return:
            return state.unsqueeze(-2)
        return torch.stack([self.embed("return", returns.unsqueeze(-1) / self.return_scale), state], dim=-2)

    def after_acting(
        self, sums: Tensor, completed: Tensor, reached: Tensor | None, rewards: Tensor | None
    ) -> Tensor:
        """Tokens (..., 1 or 2, D) of a block that is over: its reward sum and completion (...).

        reached (..., c, S) and rewards (..., c): what its steps led to and earned, for `rich` tokens alone.
        """
        kind = completed.long()
        if not self.completion_rows:
            completion = self.embed("completion", nn.functional.one_hot(kind, 2).float())
        else:
            completion = self.embed("completion", kind)
        reward = self.embed("reward_sum", sums.unsqueeze(-1) / self.reward_scale)
        if reached is None or rewards is None:
            return torch.stack([reward, completion], dim=-2)
        earned = rewards.unsqueeze(-1) / self.reward_scale
        steps = torch.cat([self.space.encode_states(reached), earned], dim=-1)
        return (reward + completion + self.embed("block", steps.flatten(-2))).unsqueeze(-2)

    def tokens(
        self,
        block_returns: Tensor,
        block_states: Tensor,
        block_sums: Tensor,
        block_completed: Tensor,
        reached_states: Tensor | None = None,
        block_rewards: Tensor | None = None,
    ) -> Tensor:
        """Tokens (..., tokens a block, D) of whole blocks; the arguments are those of the two halves."""
        return torch.cat([
            self.before_acting(block_returns, block_states),
            self.after_acting(block_sums, block_completed, reached_states, block_rewards),
        ], dim=-2)  # fmt: skip


class Gaussian(nn.Module):
    """The Gaussian of z, parameterised by a hidden state; `subgoal=mean` takes its mean in place of a draw.

    `subgoal_head=linear`: mean and logarithm of the deviation are linear in the hidden state, the deviation
    starting near `subgoal_deviation`. `tanh`: mean and logarithm of the variance both pass a tanh, so that
    deviations lie between 0.61 and 1.65 (authors' code, gym/decision_mamba.py).

    Attributes: `size`, Z; `draws` of z a block, c if each position has its own.
    """

    def __init__(self, options: Options, width: int) -> None:
        super().__init__()
        self.size, self.steps = subgoal_size(options), options["steps_per_subgoal"]
        self.draws = self.steps if options["subgoal_draws"] == "position" else 1
        self.sampled = options["subgoal"] == "sampled"
        self.bounded = options["subgoal_head"] == "tanh"
        self.head = nn.Linear(width, 2 * self.size)
        if not self.bounded:
            with torch.no_grad():
                self.head.bias[self.size :] += math.log(options["subgoal_deviation"])

    def forward(self, hidden: Tensor, noise: Tensor) -> Tensor:
        """Z (S, N, Z) from hidden states (S, D) and noise (S, N, Z), of which N may be 1 or up to c."""
        mean, spread = self.head(hidden).unsqueeze(1).chunk(2, dim=-1)
        if self.bounded:
            mean, log_deviation = mean.tanh(), spread.tanh() / 2
        else:
            log_deviation = spread.clamp(*LOG_STD_RANGE)
        if not self.sampled:
            return mean.expand_as(noise)
        drawn: Tensor = mean + log_deviation.exp() * noise
        return drawn
