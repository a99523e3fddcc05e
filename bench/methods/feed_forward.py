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
from bench.methods.base import Floats, Observation, Trial
from bench.methods.decoding import choose_actions
from bench.methods.frame_reader import FrameReader
from bench.methods.frames import frame_encoder
from bench.methods.heads import action_head
from bench.methods.normaliser import make_normaliser
from bench.methods.state_reader import StateReader
from bench.nn.perceptron import Perceptron


def perceptron(inputs: int, outputs: int, options: Options) -> Perceptron:
    """(..., inputs) to (..., outputs), through `hidden_layers` layers of `hidden_dim` units."""
    hidden = [options["hidden_dim"]] * options["hidden_layers"]
    return Perceptron([inputs, *hidden, outputs], nn.ReLU, options["dropout"])


def reader_of(actor: nn.Module, options: Options) -> StateReader:
    """How states reach a network: standardised, or as frames that its own encoder reads."""
    return (
        FrameReader(actor.encoder, options) if isinstance(actor, FrameNetwork) else make_normaliser(options)
    )


def make_actor(options: Options, further: int = 0) -> nn.Sequential:
    """From states, with `further` numbers beside them, (..., S + further) to actions in -1 ... 1 (..., A)."""
    inputs = options["observation_dim"] + further
    return nn.Sequential(perceptron(inputs, options["action_dim"], options), nn.Tanh())


class FrameNetwork(nn.Module):
    """From frames, or their features, to one output for each action: an encoder and a linear map.

    The encoder has the width `hidden_dim`; there are no further layers, as there are none in DQN.
    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.encoder = frame_encoder(options, options["hidden_dim"])
        self.head = action_head(options, options["hidden_dim"])

    def forward(self, states: Tensor) -> Tensor:
        """(B, A) of grey levels (B, frames, side, side), uint8, or features (B, hidden_dim)."""
        outputs: Tensor = self.head(self.encoder(states))
        return outputs


class FeedForwardModel(nn.Module):
    """The networks of a method. A forward pass is a decision, so that what is counted is acting."""

    def __init__(self, actor: nn.Module, normaliser: StateReader) -> None:
        super().__init__()
        self.actor, self.normaliser = actor, normaliser

    def forward(self, states: Tensor, **others: Tensor) -> Tensor:
        """Actions (B, A) of states (B, S); what else a batch holds is for the loss and is not looked at."""
        actions: Tensor = self.actor(states)
        return actions


class FeedForwardPolicy:
    """Acts from the present state alone; of several actions it draws one as the trial says."""

    def __init__(self, model: FeedForwardModel, trial: Trial, discrete: bool) -> None:
        self.model, self.trial, self.discrete = model.eval(), trial, discrete

    def begin(self, past: Episodes) -> None:
        """Nothing is remembered."""

    def act(self, seen: Observation) -> Floats:
        """(count, A) actions, one-hot if discrete; the return still wanted is ignored."""
        normaliser = self.model.normaliser
        states = normaliser(torch.from_numpy(seen.states).to(normaliser.device))
        predicted = self.model(states=states)
        actions: Floats = choose_actions(predicted, self.trial, self.discrete).cpu().numpy()
        return actions

    def observe(self, rewards: Floats) -> None:
        """Nothing is remembered."""
