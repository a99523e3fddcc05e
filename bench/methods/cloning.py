"""Behaviour cloning: regression of the dataset's actions on its states."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch, Learner, Trial
from bench.methods.feed_forward import FeedForwardModel, FeedForwardPolicy, make_actor
from bench.methods.normaliser import make_normaliser
from bench.methods.transitions import Transitions, states_and_actions


def action_error(predicted: Tensor, batch: Batch) -> Tensor:
    """Mean squared error between predicted and recorded actions (B, A)."""
    return nn.functional.mse_loss(predicted, batch["actions"])


class CloningLearner(Learner):
    """Cloning of the transitions of what `select` keeps of a dataset."""

    model: FeedForwardModel

    def __init__(self, options: Options, select: Callable[[Trajectories], Trajectories]) -> None:
        normaliser = make_normaliser(options)
        model = FeedForwardModel(make_actor(options), normaliser)
        names = ("states", "actions")
        super().__init__(
            options, model, Transitions(options, normaliser, names, states_and_actions, select=select)
        )

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error between predicted and recorded actions."""
        return action_error(self.model(**batch), batch)

    def policy(self, trial: Trial) -> FeedForwardPolicy:
        """The trained actor as a policy."""
        return FeedForwardPolicy(self.model)
