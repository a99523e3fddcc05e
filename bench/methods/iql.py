"""IQL (Kostrikov et al. 2022): values learnt without asking for an action that is not in the dataset.

A state's value is an expectile of the values of the dataset's actions in it (equation 5), the critics are
drawn to reward and value ahead (equation 6), and the actor clones the dataset's actions with weights that
grow with their advantage (equation 7). As in the authors' code for MuJoCo: the actor is a Gaussian around
tanh of its network with one learnt deviation for each number of an action, and rewards are scaled so that the
best and the worst trajectory differ by 1,000. Its cosine decay of the actor's learning rate is
`decay=cosine`, off by default, and acts on every network.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from bench.catalogue.option_types import Options
from bench.datasets.trajectories import Trajectories
from bench.errors import DatasetError
from bench.methods.actor_critic import ActorCriticLearner, ActorCriticModel
from bench.methods.base import Batch, Floats
from bench.methods.critics import values_of
from bench.methods.feed_forward import make_actor, perceptron
from bench.methods.normaliser import Normaliser, make_normaliser
from bench.methods.transitions import Columns, with_next_states

RETURN_RANGE = 1000.0  # between the worst and the best trajectory, after scaling
LOG_DEVIATIONS = (-5.0, 2.0)  # bounds of the authors' code


def scaled_rewards(dataset: Trajectories) -> Floats:
    """(transitions,) rewards, scaled so that returns differ by 1,000. Raises DatasetError if none differ."""
    difference = float(dataset.returns.max() - dataset.returns.min())
    if difference == 0.0:
        raise DatasetError(
            f"The {len(dataset)} trajectories of this dataset all have the return {dataset.returns[0]:g}, so "
            f"that IQL cannot scale rewards by how much returns differ. Set its option normalise_rewards "
            f"(workflow/methods/iql.yaml) to false, or take another dataset."
        )
    return dataset.rewards * np.float32(RETURN_RANGE / difference)


class IQLModel(ActorCriticModel):
    """Actor with the logarithm of its deviations (A,), critics, and the value of a state."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, make_actor(options), make_normaliser(options))
        self.log_deviation = nn.Parameter(torch.zeros(options["action_dim"]))
        self.value = perceptron(options["observation_dim"], 1, options)

    def log_density(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B,) log density of actions (B, A) in states (B, S)."""
        deviation = self.log_deviation.clamp(*LOG_DEVIATIONS).exp()
        # Unchecked: a look at the values would wait for a GPU, and what diverges shows in the loss.
        policy = Normal(self.actor(states), deviation, validate_args=False)
        density: Tensor = policy.log_prob(actions)
        return density.sum(dim=-1)


class Learner(ActorCriticLearner):
    """Expectile regression and advantage-weighted cloning."""

    model: IQLModel

    def __init__(self, options: Options) -> None:
        super().__init__(options, IQLModel(options), lay_out=self._lay_out)

    def _lay_out(self, dataset: Trajectories, normaliser: Normaliser) -> Columns:
        """The columns of a batch, with rewards scaled if `normalise_rewards` asks for it."""
        columns = with_next_states(dataset, normaliser)
        if self.options["normalise_rewards"]:
            columns["rewards"] = scaled_rewards(dataset)
        return columns

    def next_values(self, batch: Batch) -> Tensor:
        """(B,) V(s')."""
        values: Tensor = self.model.value(batch["next_states"])
        return values.squeeze(-1)

    def advantages(self, batch: Batch) -> Tensor:
        """(B,) min_i Q'_i(s, a) - V(s) of the dataset's actions; Q' are the target critics."""
        with torch.no_grad():
            values = values_of(self.model.target_critics, batch["states"], batch["actions"]).amin(dim=0)
        return values - self.model.value(batch["states"]).squeeze(-1)

    def further_loss(self, batch: Batch) -> Tensor:
        """The loss of the value (equation 5).

        Mean of |expectile - 1(u < 0)| u^2 over u = min_i Q'_i(s, a) - V(s).
        """
        advantages = self.advantages(batch)
        expectile = self.options["expectile"]
        weights = torch.where(advantages < 0, 1.0 - expectile, expectile)
        return (weights * advantages.square()).mean()

    def actor_loss(self, batch: Batch) -> Tensor:
        """Mean of -w log pi(a | s), w = min(exp(`advantage_temperature` u), ceiling) (equation 7)."""
        with torch.no_grad():
            exponents = self.options["advantage_temperature"] * self.advantages(batch)
            weights = exponents.exp().clamp(max=self.options["weight_ceiling"])
        return -(weights * self.model.log_density(batch["states"], batch["actions"])).mean()
