"""What the feed-forward methods share: perceptrons, a model that acts by one, and its policy.

Shapes: B transitions, S numbers in a state, A in an action. Every network is a perceptron with ReLU; actions
are bounded by tanh, since those of the MuJoCo tasks lie between -1 and 1. Batches are those of
`bench.methods.transitions`.

No paper here prints how these baselines were set: the options' defaults are the customary ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.datasets.episodes import Episodes
from bench.methods.base import Floats, Observation
from bench.methods.normaliser import Normaliser
from bench.nn.perceptron import Perceptron


def perceptron(inputs: int, outputs: int, options: Options) -> Perceptron:
    """(..., inputs) to (..., outputs), through `hidden_layers` layers of `hidden_dim` units."""
    hidden = [options["hidden_dim"]] * options["hidden_layers"]
    return Perceptron([inputs, *hidden, outputs], nn.ReLU, options["dropout"])


def make_actor(options: Options, further: int = 0) -> nn.Sequential:
    """From states, with `further` numbers beside them, (..., S + further) to actions in -1 ... 1 (..., A)."""
    inputs = options["observation_dim"] + further
    return nn.Sequential(perceptron(inputs, options["action_dim"], options), nn.Tanh())


class FeedForwardModel(nn.Module):
    """The networks of a method. A forward pass is a decision, so that what is counted is acting."""

    def __init__(self, actor: nn.Module, normaliser: Normaliser) -> None:
        super().__init__()
        self.actor, self.normaliser = actor, normaliser

    def forward(self, states: Tensor, **others: Tensor) -> Tensor:
        """Actions (B, A) of states (B, S); what else a batch holds is for the loss and is not looked at."""
        actions: Tensor = self.actor(states)
        return actions


class FeedForwardPolicy:
    """Acts from the present state alone."""

    def __init__(self, model: FeedForwardModel) -> None:
        self.model = model.eval()

    def begin(self, past: Episodes) -> None:
        """Nothing is remembered."""

    def act(self, seen: Observation) -> Floats:
        """(count, A) actions; the return still wanted is ignored."""
        normaliser = self.model.normaliser
        states = normaliser(torch.from_numpy(seen.states).to(normaliser.mean.device))
        actions: Floats = self.model(states=states).cpu().numpy()
        return actions

    def observe(self, rewards: Floats) -> None:
        """Nothing is remembered."""
