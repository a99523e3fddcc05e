"""DM-H's two modules together: sub-goals of a context, and the actions that follow them.

Shapes: B contexts, M blocks of the longest, S trained blocks, c steps a sub-goal, A `action_dim`, Z numbers
of a sub-goal. Equations are those of arXiv 2406.00079, Section 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.dmh_local import LocalModule
from bench.methods.dmh_long import LongTermModule
from bench.methods.in_context import normaliser_of
from bench.methods.places import taken


class DMHModel(nn.Module):
    """Both modules, and the frozen linear map f that turns a valuable state into a sub-goal."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options
        self.long_term = LongTermModule(options)
        self.local = LocalModule(options)
        self.space = self.long_term.space
        self.normaliser = normaliser_of(self.space, options)
        self.valuable_map = nn.Linear(self.space.state_features, self.local.goal_size)
        self.valuable_map.requires_grad_(False)

    def forward(
        self,
        trained: Tensor,
        noise: Tensor,
        states: Tensor,
        actions: Tensor,
        rewards: Tensor,
        times: Tensor,
        real: Tensor,
        valuable_states: Tensor,
        **blocks: Tensor,
    ) -> Tensor:
        """Logits or actions of every real step of the trained blocks, (branches * real steps, A).

        blocks: (B, M, ...), the arguments of `LongTermModule.tokens`, shorter rows padded behind. trained
        (S,): indices into the flattened (B * M) blocks, of those trained in this update. noise (S, c or 1,
        Z): the Gaussian samples of z. states (S, c, ...), actions (S, c, ...), rewards and times (S, c):
        their steps, real (n,) the places of those that are in the episode. valuable_states (S, ...): the
        valuable sub-goal of each, or none for training without. The branch of z comes first, that of f(s^g)
        second.
        """
        long = self.long_term
        hidden = long.backbone(long.tokens(**blocks).flatten(1, 2))[:, long.state_place :: long.per_block]
        goals = long.goals(hidden.flatten(0, 1)[trained], noise).expand(-1, self.local.steps, -1)
        if len(valuable_states):
            valuable = self.valuable_map(self.space.encode_states(valuable_states))
            goals = torch.cat([goals, valuable.unsqueeze(1).expand_as(goals)])
            real = torch.cat([real, real + rewards.numel()])
            states, actions, rewards, times = (torch.cat([x, x]) for x in (states, actions, rewards, times))
        return taken(self.local(goals, states, actions, rewards, times), real)
