"""RvS-R (Emmons et al. 2022): cloning by a perceptron that is told what reward followed.

Beside the state the network reads the mean reward to come: the return-to-go over the steps left until
`max_episode_steps`, even if the episode ended before (Section 3). While acting it is told the return asked
for over `max_episode_steps`, all through the episode (`asked_for=mean`), as in the authors' code, or what is
still wanted over the steps left (`left`). The loss is the squared error of an action bounded by tanh; theirs
is the likelihood of a Gaussian with one learnt deviation.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.datasets.episodes import Episodes
from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch, Floats, Observation, Trial
from bench.methods.base import Learner as BaseLearner
from bench.methods.feed_forward import make_actor
from bench.methods.heads import prediction_loss
from bench.methods.normaliser import Normaliser, make_normaliser
from bench.methods.transitions import Columns, Transitions, states_and_actions


def mean_rewards_to_go(dataset: Trajectories, horizon: int) -> Floats:
    """(transitions,) return-to-go over the steps from each transition to the `horizon`."""
    steps = np.arange(dataset.transitions) - np.repeat(dataset.starts[:-1], dataset.lengths)
    means: Floats = (dataset.returns_to_go() / (horizon - steps)).astype(np.float32)
    return means


class RvSModel(nn.Module):
    """Actions (B, A) of states (B, S) and mean rewards to go (B, 1)."""

    def __init__(self, options: Options, normaliser: Normaliser) -> None:
        super().__init__()
        self.actor, self.normaliser = make_actor(options, further=1), normaliser

    def forward(self, states: Tensor, mean_rewards_to_go: Tensor, **others: Tensor) -> Tensor:
        """Actions; those of the dataset are not looked at."""
        actions: Tensor = self.actor(torch.cat([states, mean_rewards_to_go], dim=-1))
        return actions


class RvSPolicy:
    """Acts from the present state and the mean reward asked for."""

    def __init__(self, model: RvSModel, options: Options) -> None:
        self.model, self.options = model.eval(), options
        self.time = 0
        self.asked: Floats | None = None

    def begin(self, past: Episodes) -> None:
        """Begin an episode; earlier ones are not read."""
        self.time, self.asked = 0, None

    def act(self, seen: Observation) -> Floats:
        """(count, A) actions."""
        if self.options["asked_for"] == "left":
            means = seen.wanted / (self.options["max_episode_steps"] - self.time)
        else:
            self.asked = seen.wanted.copy() if self.asked is None else self.asked
            means = self.asked / self.options["max_episode_steps"]
        self.time += 1
        normaliser = self.model.normaliser
        device = normaliser.device
        states = normaliser(torch.from_numpy(seen.states).to(device))
        told = torch.from_numpy(means.astype(np.float32)).unsqueeze(-1).to(device)
        actions: Floats = self.model(states=states, mean_rewards_to_go=told).cpu().numpy()
        return actions

    def observe(self, rewards: Floats) -> None:
        """Rewards reach the policy through the return still wanted."""


class Learner(BaseLearner):
    """Regression of actions on states and what followed."""

    model: RvSModel

    def __init__(self, options: Options) -> None:
        normaliser = make_normaliser(options)
        names = ("states", "actions", "mean_rewards_to_go")
        sampler = Transitions(options, normaliser, names, self._lay_out)
        super().__init__(options, RvSModel(options, normaliser), sampler)

    def _lay_out(self, dataset: Trajectories, normaliser: Normaliser) -> Columns:
        means = mean_rewards_to_go(dataset, self.options["max_episode_steps"])
        return states_and_actions(dataset, normaliser) | {"mean_rewards_to_go": means[:, None]}

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error between predicted and recorded actions."""
        return prediction_loss(self.model(**batch), batch["actions"], discrete=False)

    def policy(self, trial: Trial) -> RvSPolicy:
        """The trained network as a policy."""
        return RvSPolicy(self.model, self.options)
