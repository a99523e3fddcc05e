"""What the feed-forward baselines share: perceptrons, the normaliser, batches of transitions, the policy.

Shapes: B transitions, S numbers in a state, A in an action. Every network is a perceptron with ReLU; actions
are bounded by tanh, since those of the MuJoCo tasks lie between -1 and 1. States are standardised by the mean
and deviation (+ 1e-6) of the transitions learnt from, where `normalise_states` asks for it.

No paper here prints how these baselines were set: the options' defaults are the customary ones.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch
from bench.methods.normalised import NormalisedLearner
from bench.nn.perceptron import Perceptron

Floats = NDArray[np.float32]


def perceptron(inputs: int, outputs: int, options: dict[str, Any]) -> Perceptron:
    """(..., inputs) to (..., outputs), through `hidden_layers` layers of `hidden_dim` units."""
    hidden = [options["hidden_dim"]] * options["hidden_layers"]
    return Perceptron([inputs, *hidden, outputs], nn.ReLU, options["dropout"])


def make_actor(options: dict[str, Any]) -> nn.Sequential:
    """From states (..., S) to actions in -1 ... 1 (..., A)."""
    return nn.Sequential(perceptron(options["observation_dim"], options["action_dim"], options), nn.Tanh())


class FeedForwardModel(nn.Module):
    """The networks of a method. A forward pass is a decision, so that what is counted is acting."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.actor = self.make_actor(options)

    def make_actor(self, options: dict[str, Any]) -> nn.Module:
        """From states (..., S) to actions in -1 ... 1 (..., A)."""
        return make_actor(options)

    def forward(self, states: Tensor, **others: Tensor) -> Tensor:
        """Actions (B, A) of states (B, S); what else a batch holds is for the loss and is not looked at."""
        actions: Tensor = self.actor(states)
        return actions


class FeedForwardPolicy:
    """Acts from the present state alone."""

    def __init__(self, learner: FeedForwardLearner) -> None:
        self.learner = learner

    def act(self, states: Floats, returns: Floats, alive: NDArray[np.bool_]) -> Floats:
        """(episodes, A) actions of states (episodes, S); the return asked for is ignored."""
        normalised = torch.from_numpy(self.learner.normalise(states)).to(self.learner.device)
        actions: Floats = self.learner.model(states=normalised).cpu().numpy()
        return actions


class FeedForwardLearner(NormalisedLearner):
    """A method that learns from single transitions; sub-classes give the loss."""

    model: FeedForwardModel

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options, options["observation_dim"])
        self.model = self.make_model()

    def make_model(self) -> FeedForwardModel:
        """The networks, freshly initialised."""
        return FeedForwardModel(self.options)

    def prepare(self, dataset: Trajectories) -> None:
        """Take the states' normaliser, and lay out what batches are gathered from."""
        self.take_normaliser(dataset)
        self.columns = self.lay_out(dataset)

    def lay_out(self, dataset: Trajectories) -> dict[str, Floats]:
        """The columns of a batch, over all transitions: states (n, S) and actions (n, A)."""
        return {"states": self.normalise(dataset.observations), "actions": dataset.actions}

    def batch(self, dataset: Trajectories, generator: np.random.Generator) -> Batch:
        """Transitions drawn evenly from those laid out."""
        index = generator.integers(len(self.columns["states"]), size=self.options["batch_size"])
        return {name: torch.from_numpy(values[index]) for name, values in self.columns.items()}

    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Transitions with random content; `sequences` counts them."""
        states = generator.standard_normal((sequences, self.options["observation_dim"]), dtype=np.float32)
        actions = generator.uniform(-1, 1, (sequences, self.options["action_dim"])).astype(np.float32)
        return {"states": torch.from_numpy(states), "actions": torch.from_numpy(actions)}

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The training loss of a batch of transitions, a scalar."""

    def policy(self, episodes: int) -> FeedForwardPolicy:
        """The trained actor as a policy for any number of environments."""
        return FeedForwardPolicy(self)


class CloningLearner(FeedForwardLearner):
    """Behaviour cloning: regression of the dataset's actions on its states."""

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error between predicted and recorded actions."""
        return nn.functional.mse_loss(self.model(**batch), batch["actions"])
