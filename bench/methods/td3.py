"""TD3 (Fujimoto et al. 2018), run offline: nothing keeps the actor near the actions of the dataset."""

from __future__ import annotations

from torch import Tensor

from bench.methods.base import Batch
from bench.methods.twin_delayed import TwinDelayedLearner


class Learner(TwinDelayedLearner):
    """The deterministic policy gradient on transitions of the dataset."""

    def actor_loss(self, batch: Batch) -> Tensor:
        """Less the mean value of the actor's actions."""
        return -self.model.judged(batch["states"], self.model.actor(batch["states"])).mean()
