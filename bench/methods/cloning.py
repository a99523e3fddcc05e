"""Behaviour cloning: regression of the dataset's actions on its states, numbers or frames."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bench.catalogue.option_types import Options
from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch, Learner, Trial
from bench.methods.feed_forward import (
    FeedForwardModel,
    FeedForwardPolicy,
    FrameNetwork,
    make_actor,
    reader_of,
)
from bench.methods.frames import reads_frames
from bench.methods.heads import prediction_loss
from bench.methods.transitions import Transitions, states_and_actions


class CloningLearner(Learner):
    """Cloning of the transitions of what `select` keeps of a dataset."""

    model: FeedForwardModel

    def __init__(self, options: Options, select: Callable[[Trajectories], Trajectories]) -> None:
        actor = FrameNetwork(options) if reads_frames(options) else make_actor(options)
        normaliser, names = reader_of(actor, options), ("states", "actions")
        model = FeedForwardModel(actor, normaliser)
        super().__init__(
            options, model, Transitions(options, normaliser, names, states_and_actions, select=select)
        )

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error of predicted actions, or the cross-entropy of discrete ones."""
        return prediction_loss(self.model(**batch), batch["actions"], self.options["discrete_actions"])

    def policy(self, trial: Trial) -> FeedForwardPolicy:
        """The trained actor as a policy."""
        return FeedForwardPolicy(self.model, trial, self.options["discrete_actions"])
