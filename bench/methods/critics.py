"""Critics of a state and an action, and target networks that follow others at a distance.

Shapes: B transitions, S numbers in a state, A in an action.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from bench.catalogue.option_types import Options
from bench.methods.feed_forward import perceptron

CRITICS = 2


def without_dropout(options: Options) -> Options:
    """The options of a target network, whose values no dropout thins."""
    return options | {"dropout": 0.0}


def make_critics(options: Options) -> nn.ModuleList:
    """Networks from a state with its action (..., S + A) to a value (..., 1)."""
    inputs = options["observation_dim"] + options["action_dim"]
    return nn.ModuleList(perceptron(inputs, 1, options) for _ in range(CRITICS))


def values_of(critics: nn.ModuleList, states: Tensor, actions: Tensor) -> Tensor:
    """(critics, ...) values of actions (..., A) in states (..., S)."""
    pairs = torch.cat([states, actions], dim=-1)
    return torch.stack([critic(pairs).squeeze(-1) for critic in critics])


def values_through_fixed_critic(critic: nn.Module, states: Tensor, actions: Tensor) -> Tensor:
    """(B,) values by a critic whose parameters are held fixed: gradients reach the actions alone."""
    fixed = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    values: Tensor = functional_call(critic, fixed, (torch.cat([states, actions], dim=-1),))
    return values.squeeze(-1)


@torch.no_grad()
def polyak_update(target: nn.Module, online: nn.Module, share: float) -> None:
    """Move a target network by that share of its way to the network that it follows."""
    for behind, ahead in zip(target.parameters(), online.parameters(), strict=True):
        behind.lerp_(ahead, share)


def start_target(target: nn.Module, online: nn.Module) -> None:
    """Let a target network start as the network that it follows, out of reach of gradients."""
    target.load_state_dict(online.state_dict())
    target.requires_grad_(False)
