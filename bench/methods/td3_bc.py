"""TD3+BC (Fujimoto and Gu 2021): TD3 whose actor also imitates the actions of the dataset."""

from __future__ import annotations

from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.actor_critic import ActorCriticLearner
from bench.methods.base import Batch
from bench.methods.td3_base import TD3Model, smoothed_next_values, target_noise


class Learner(ActorCriticLearner):
    """TD3 with a cloning term, weighed against the value in units of the batch's mean absolute value."""

    model: TD3Model

    def __init__(self, options: Options) -> None:
        super().__init__(options, TD3Model(options), options["policy_delay"], noise=target_noise(options))

    def next_values(self, batch: Batch) -> Tensor:
        """(B,) values of the target actor's actions, smoothed."""
        return smoothed_next_values(self.model, batch)

    def actor_loss(self, batch: Batch) -> Tensor:
        """- lambda mean Q + mean squared error, lambda = `value_weight` / mean |Q| (Section 5).

        Q is that of the actor's own actions, as in the authors' code; no gradient passes through lambda.
        """
        actions = self.model.actor(batch["states"])
        values = self.model.first_values(batch["states"], actions)
        scale = self.options["value_weight"] / values.detach().abs().mean()
        return nn.functional.mse_loss(actions, batch["actions"]) - scale * values.mean()
