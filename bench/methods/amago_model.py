"""AMAGO's networks: one causal encoder of a whole meta-episode, an actor and critics that share it.

Shapes: B meta-episodes of E episodes of T steps, L = E * T tokens, D `embedding_dim`, C critics.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.backbones import PositionedModel, transformer
from bench.methods.spaces import space_of
from bench.nn.perceptron import Perceptron
from bench.worlds.gridworld.world import ACTIONS


class Critics(nn.Module):
    """An ensemble of values of every action, (B, L, D) to (C, B, L, ACTIONS), in normalised units."""

    def __init__(self, count: int, width: int, hidden: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Perceptron([width, hidden, ACTIONS], nn.LeakyReLU) for _ in range(count))

    def forward(self, hidden: Tensor) -> Tensor:
        """Values of each critic."""
        return torch.stack([head(hidden) for head in self.heads])

    @torch.no_grad()
    def rescale(self, ratio: Tensor, offset: Tensor) -> None:
        """Change the last layers so that each output x becomes ratio * x + offset."""
        for head in self.heads:
            last = head[-1]  # type: ignore[index]
            last.weight.mul_(ratio)
            last.bias.mul_(ratio).add_(offset)


class AMAGOModel(PositionedModel):
    """Timestep encoder, causal transformer, actor, critics and their target networks.

    Args:
        options: room_side, horizon, context_episodes, embedding_dim, head_dim, critics, layers, heads,
            dropout, activation, position_embedding.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, options: Options) -> None:
        super().__init__()
        width, hidden = options["embedding_dim"], options["head_dim"]
        self.options = options
        self.space, self.horizon = space_of(options), options["horizon"]
        self.max_tokens = options["context_episodes"] * self.horizon
        # Coordinates, the action before (or none), the reward before, the time, whether an episode begins.
        features = self.space.state_features + ACTIONS + 4
        self.encode_step = nn.Sequential(
            Perceptron([features, hidden, width], nn.LeakyReLU), nn.LayerNorm(width)
        )
        self.make_positions(self.max_tokens, width, options["position_embedding"], options["dropout"])
        self.backbone = transformer(options, options["layers"])
        self.actor = Perceptron([width, hidden, ACTIONS], nn.LeakyReLU)
        self.critics = Critics(options["critics"], width, hidden)
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def token(self, positions: Tensor, last_action: Tensor, earned: Tensor, time: Tensor) -> Tensor:
        """Tokens (..., D), positions not yet added.

        positions (..., 2); the action (...) and the reward (...) of the step before, action `ACTIONS` where
        there was none; time (...), the steps taken in the episode.
        """
        features = [
            self.space.encode_states(positions),
            nn.functional.one_hot(last_action, ACTIONS + 1).float(),
            torch.stack([earned, time / self.horizon, (time == 0).float()], dim=-1),
        ]
        tokens: Tensor = self.encode_step(torch.cat(features, dim=-1))
        return tokens

    def tokens(self, positions: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
        """Tokens (B, L, D) of whole episodes: positions (B, E, T, 2), actions and rewards (B, E, T)."""
        time = torch.arange(self.horizon, device=actions.device).expand_as(actions).flatten(1)
        actions, rewards = actions.flatten(1), rewards.flatten(1)
        last_actions = torch.cat([torch.full_like(actions[:, :1], ACTIONS), actions[:, :-1]], dim=1)
        earned = torch.cat([torch.zeros_like(rewards[:, :1]), rewards[:, :-1]], dim=1)
        return self.token(positions.flatten(1, 2), last_actions, earned, time)

    def forward(
        self, positions: Tensor, actions: Tensor, rewards: Tensor, asked: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, L, ACTIONS) of the actor, and values (C, B, L, ACTIONS) of the critics.

        Third, those (n, B, L, ACTIONS) of the n target networks that `asked` (n, B, L) numbers at each step.
        Each is computed from what was known before the action; values are in units of the mean and scale.
        """
        hidden = self.backbone(self.placed_from_first(self.tokens(positions, actions, rewards)))
        target_values = self.target_critics(hidden.detach())
        index = asked.unsqueeze(-1).expand(*asked.shape, ACTIONS)
        return self.actor(hidden), self.critics(hidden), target_values.gather(0, index)

    @torch.no_grad()
    def normalise(self, mean: float, scale: float) -> None:
        """Set the units of the values; what the critics say in units of the reward stays (PopArt)."""
        ratio = self.scale / scale
        offset = (self.mean - mean) / scale
        for critics in (self.critics, self.target_critics):
            critics.rescale(ratio, offset)
        self.mean.fill_(mean)
        self.scale.fill_(scale)
