"""RvS-R (Emmons et al. 2022): cloning by a perceptron that is told what reward followed.

Beside the state the network reads the mean reward to come: the return-to-go over the steps left until
`max_episode_steps`, also where the episode ended before (Section 3). While acting it is told the return asked
for over `max_episode_steps`, all through the episode (`asked_for=mean`), as in the authors' code, or what is
still wanted over the steps left (`left`). The loss is the squared error of an action bounded by tanh; theirs
is the likelihood of a Gaussian with one learnt deviation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch
from bench.methods.feed_forward import CloningLearner, FeedForwardModel, FeedForwardPolicy, Floats, make_actor


def mean_rewards_to_go(dataset: Trajectories, horizon: int) -> Floats:
    """(transitions,) return-to-go over the steps from each transition to the `horizon`."""
    steps = np.arange(dataset.transitions) - np.repeat(dataset.starts[:-1], dataset.lengths)
    means: Floats = (dataset.returns_to_go() / (horizon - steps)).astype(np.float32)
    return means


class RvSModel(FeedForwardModel):
    """Actions (B, A) of states (B, S) and outcomes (B, 1)."""

    def make_actor(self, options: dict[str, Any]) -> nn.Module:
        """From a state with its outcome (..., S + 1) to an action (..., A)."""
        return make_actor(options | {"observation_dim": options["observation_dim"] + 1})

    def forward(self, states: Tensor, outcomes: Tensor, **others: Tensor) -> Tensor:  # type: ignore[override]
        """Actions; those of the dataset are not looked at."""
        actions: Tensor = self.actor(torch.cat([states, outcomes], dim=-1))
        return actions


class RvSPolicy(FeedForwardPolicy):
    """Acts from the present state and the mean reward asked for."""

    def __init__(self, learner: Learner) -> None:
        super().__init__(learner)
        self.time = 0
        self.asked: Floats | None = None

    def act(self, states: Floats, returns: Floats, alive: NDArray[np.bool_]) -> Floats:
        """(episodes, A) actions of states (episodes, S) and returns still wanted (episodes,)."""
        options = self.learner.options
        if options["asked_for"] == "left":
            outcomes = returns / (options["max_episode_steps"] - self.time)
        else:
            self.asked = returns.copy() if self.asked is None else self.asked
            outcomes = self.asked / options["max_episode_steps"]
        self.time += 1
        normalised = torch.from_numpy(self.learner.normalise(states)).to(self.learner.device)
        told = torch.from_numpy(outcomes.astype(np.float32)).unsqueeze(-1).to(self.learner.device)
        actions: Floats = self.learner.model(states=normalised, outcomes=told).cpu().numpy()
        return actions


class Learner(CloningLearner):
    """Regression of actions on states and what followed."""

    def make_model(self) -> RvSModel:
        """The network, freshly initialised."""
        return RvSModel(self.options)

    def lay_out(self, dataset: Trajectories) -> dict[str, Floats]:
        """Also the mean rewards to come (n, 1)."""
        means = mean_rewards_to_go(dataset, self.options["max_episode_steps"])
        return super().lay_out(dataset) | {"outcomes": means[:, None]}

    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Transitions with random content; `sequences` counts them."""
        outcomes = generator.standard_normal((sequences, 1), dtype=np.float32)
        return super().synthetic_batch(sequences, generator) | {"outcomes": torch.from_numpy(outcomes)}

    def policy(self, episodes: int) -> RvSPolicy:
        """The trained network as a policy for `episodes` environments at once, for one episode in each."""
        return RvSPolicy(self)
