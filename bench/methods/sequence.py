"""The learner of the return-conditioned methods: imitation of actions, given the return that followed."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bench.catalogue.option_types import Options
from bench.methods.base import Batch, Learner, Observation, OnlineTimed, OnlineWork, Policy, Timed, Trial
from bench.methods.decoding import StepPolicy, WindowPolicy
from bench.methods.frame_reader import FrameReader
from bench.methods.frames import random_states, reads_frames
from bench.methods.heads import prediction_loss
from bench.methods.normaliser import make_normaliser
from bench.methods.places import taken
from bench.methods.return_conditioned import ReturnConditionedModel
from bench.methods.state_reader import StateReader
from bench.methods.windows import OWN_RETURN, Pairing, WholeTrajectories, Windows, random_windows
from bench.nn.frames import FrameEncoder

# What an online test is timed from, beside a context that is read again: a state whose size does not grow, or
# a key-value cache.
OnlineMemory = Literal["state", "cache"]


def reader_of(model: ReturnConditionedModel, options: Options) -> StateReader:
    """How states reach the model: standardised, or as frames that the model's own encoder reads."""
    if not reads_frames(options):
        return make_normaliser(options)
    encoder = model.get_submodule("embed.embed_state")
    assert isinstance(encoder, FrameEncoder)
    return FrameReader(encoder, options)


class SequenceLearner(Learner):
    """Imitation from windows of K steps, or from whole trajectories.

    `receptive_field` bounds the tokens that a prediction depends on, through all layers; None is every token
    before it. `pairing` is what training pairs with a state.
    """

    model: ReturnConditionedModel
    sampler: Windows | WholeTrajectories

    def __init__(
        self,
        options: Options,
        model: ReturnConditionedModel,
        whole_trajectories: bool = False,
        online: OnlineMemory | None = None,
        receptive_field: int | None = None,
        pairing: Pairing = OWN_RETURN,
    ) -> None:
        model.normaliser = reader_of(model, options)
        sampler = WholeTrajectories if whole_trajectories else Windows
        super().__init__(options, model, sampler(options, model.normaliser, pairing))
        self.whole_trajectories, self.online = whole_trajectories, online
        self.receptive_field = receptive_field

    def take_encoder(self, cloned: Learner) -> None:
        """Read frames by the encoder of a trained clone from now on, without training it."""
        own, other = self.model.normaliser, cloned.model.normaliser
        assert isinstance(own, FrameReader)
        assert isinstance(other, FrameReader)
        own.freeze(other.encoder)

    def loss(self, batch: Batch) -> Tensor:
        """Mean over real steps: squared error, or cross-entropy of discrete actions (DeMa Section 3.1)."""
        real = batch["real"]
        predicted, actions = taken(self.model(**batch), real), taken(batch["actions"], real)
        return prediction_loss(predicted, actions, self.options["discrete_actions"])

    def tokens(self, batch: Batch) -> int:
        """Its real steps."""
        return len(batch["real"])

    @property
    def memory_is_the_window(self) -> bool:
        """Whether reading each token of an episode once predicts what reading the window again does.

        So it is if the window holds the whole episode, or all that a prediction depends on, places in the
        window not among it, and no padding that is attended to.
        """
        options, field, layout = self.options, self.receptive_field, self.model.layout
        if options["padding"] == "attended":
            return False
        within = field is not None and field <= layout.up_to_decision(options["context_length"])
        within = within and not self.model.placed_in_window
        return within or options["context_length"] >= options["max_episode_steps"]

    def policy(self, trial: Trial) -> Policy:
        """The model as a policy.

        Each token is read once if that predicts what reading the window again does, or if the model was
        trained on whole trajectories. A trial that is not `cached` reads the window all the same, as the
        papers timed it.
        """
        stepwise = self.whole_trajectories or (trial.cached and self.memory_is_the_window)
        make = StepPolicy if stepwise else WindowPolicy
        return make(self.model, self.model.normaliser, self.options, trial)

    def timed(self, generator: np.random.Generator) -> Timed:
        """A pass over the window, or one step from the hidden state of a model of whole trajectories."""
        online: OnlineTimed | None = None
        if self.online is not None and self.options["window_start"] == "beginning":
            online = self._online_work
        if not self.whole_trajectories:
            return Timed(self.model, self.whole_pass(generator), online)
        policy, seen = self._step_policy(), self._observation(generator)
        return Timed(self.model, partial(policy.act, seen), online)

    def _step_policy(self) -> StepPolicy:
        return StepPolicy(self.model, self.model.normaliser, self.options, Trial(1, torch.Generator()))

    def _observation(self, generator: np.random.Generator) -> Observation:
        states = random_states(self.options, (1,), generator)
        return Observation(states, np.ones(1, np.float32), np.ones(1, bool))

    def _online_work(self, fill: int, cached: bool, generator: np.random.Generator) -> OnlineWork:
        """A decision after `fill` steps of an episode."""
        if not cached and self.online == "cache":
            window = self.on_device(random_windows(self.options, 1, fill + 1, generator))
            return OnlineWork(lambda: None, lambda: self.model(**window), 1)
        policy, seen = self._step_policy(), self._observation(generator)

        def decide() -> None:
            policy.rewind(fill)
            policy.act(seen)

        return OnlineWork(lambda: None, decide, 1)
