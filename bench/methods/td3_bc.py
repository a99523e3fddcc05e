"""TD3+BC (Fujimoto and Gu 2021): TD3 whose actor also imitates the actions of the dataset."""

from __future__ import annotations

from torch import Tensor, nn

from bench.methods.base import Batch
from bench.methods.twin_delayed import TwinDelayedLearner


class Learner(TwinDelayedLearner):
    """TD3 with a cloning term, weighed against the value in units of the batch's mean absolute value."""

    def actor_loss(self, batch: Batch) -> Tensor:
        """- lambda mean Q + mean squared error, lambda = `value_weight` / mean |Q| (Section 5).

        Q is that of the actor's own actions, as in the authors' code; no gradient passes through lambda.
        """
        actions = self.model.actor(batch["states"])
        values = self.model.judged(batch["states"], actions)
        scale = self.options["value_weight"] / values.detach().abs().mean()
        return nn.functional.mse_loss(actions, batch["actions"]) - scale * values.mean()
