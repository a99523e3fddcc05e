"""TD3 (Fujimoto et al. 2018), run offline: nothing keeps the actor near the actions of the dataset."""

from __future__ import annotations

from torch import Tensor

from bench.catalogue.option_types import Options
from bench.methods.actor_critic import ActorCriticLearner
from bench.methods.base import Batch
from bench.methods.td3_base import TD3Model, smoothed_next_values, target_noise


class Learner(ActorCriticLearner):
    """The deterministic policy gradient on transitions of the dataset."""

    model: TD3Model

    def __init__(self, options: Options) -> None:
        super().__init__(options, TD3Model(options), options["policy_delay"], noise=target_noise(options))

    def next_values(self, batch: Batch) -> Tensor:
        """(B,) values of the target actor's actions, smoothed."""
        return smoothed_next_values(self.model, batch)

    def actor_loss(self, batch: Batch) -> Tensor:
        """Negative mean value of the actor's actions."""
        return -self.model.first_values(batch["states"], self.model.actor(batch["states"])).mean()
