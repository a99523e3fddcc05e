"""What a state and an action are on a task, and how a model reads them.

Grid worlds show the coordinates of a cell, read as two numbers or coded one-hot (`state_code`); mazes and
robots show numbers, taken as they are. Actions are one of several, or a vector in [-1, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.frames import state_shape
from bench.methods.heads import prediction_head, prediction_loss
from bench.worlds.gridworld.world import ACTIONS


@dataclass(frozen=True)
class Space:
    """States and actions of a task.

    Attributes: `state_dim`, the numbers of a state as it is stored, or the pixels of a stack of frames;
    `state_features`, the numbers a model reads of it; `action_dim`, the actions to choose from, or the
    numbers of a continuous one; `discrete`; `room_side` of a grid world, 0 elsewhere; `horizon`, the most
    steps of an episode.
    """

    state_dim: int
    state_features: int
    action_dim: int
    discrete: bool
    room_side: int
    horizon: int

    def encode_states(self, states: Tensor) -> Tensor:
        """(..., state_dim) to (..., state_features) floats: as they are, or one-hot x, then one-hot y."""
        if self.state_features == self.state_dim:
            return states.float()
        return nn.functional.one_hot(states, self.room_side).flatten(-2).float()

    def encode_actions(self, actions: Tensor) -> Tensor:
        """Code actions (...) or (..., action_dim) as (..., action_dim + 1); the last number is "none yet"."""
        if self.discrete:
            return nn.functional.one_hot(actions, self.action_dim + 1).float()
        return nn.functional.pad(actions, (0, 1))

    def no_action(self, *shape: int, device: torch.device) -> Tensor:
        """The code (*shape, action_dim + 1) of no action."""
        return nn.functional.pad(torch.zeros(*shape, self.action_dim, device=device), (0, 1), value=1.0)

    def any_action(self, count: int, device: torch.device) -> Tensor:
        """Actions (count,) or (count, action_dim), to stand where none is read."""
        if self.discrete:
            return torch.zeros(count, dtype=torch.int64, device=device)
        return torch.zeros(count, self.action_dim, device=device)

    def head(self, width: int) -> nn.Sequential:
        """From hidden states (..., width) to logits, or to a continuous action in [-1, 1]."""
        return prediction_head(width, self.action_dim, self.discrete)

    def loss(self, predicted: Tensor, actions: Tensor) -> Tensor:
        """Mean cross-entropy of actions (n,), or mean squared error of actions (n, action_dim)."""
        return prediction_loss(predicted, actions, self.discrete)


def space_of(options: Options) -> Space:
    """The space of the task whose options these are."""
    if "room_side" in options:
        side = options["room_side"]
        features = 2 * side if options["state_code"] == "one-hot" else 2
        return Space(2, features, ACTIONS, True, side, options["horizon"])
    states, actions = math.prod(state_shape(options)), options["action_dim"]
    return Space(states, states, actions, options["discrete_actions"], 0, options["max_episode_steps"])
