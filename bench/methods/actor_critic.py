"""What the actor-critics share: two critics, their target networks, and one joint loss.

One optimiser updates everything: the loss is the critics' and, when it is its turn, the actor's, whose
gradient does not reach the critics, nor theirs the actor. Unlike in the authors' codes, the actor climbs the
critics as they are before the update that both take part in, and not after; and every network has one
learning rate. Nothing comes after a termination, whereas an episode that was cut goes on from its final
observation.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.methods.base import Batch, Learner, Trial, hook
from bench.methods.critics import (
    make_critics,
    polyak_update,
    start_target,
    values_of,
    values_through_fixed_critic,
    without_dropout,
)
from bench.methods.feed_forward import FeedForwardModel, FeedForwardPolicy
from bench.methods.normaliser import Normaliser
from bench.methods.transitions import LayOut, Noise, Transitions, no_noise, with_next_states

COLUMNS = ("states", "actions", "rewards", "next_states", "terminations")


class ActorCriticModel(FeedForwardModel):
    """An actor, two critics, and the critics' target networks, without dropout."""

    def __init__(self, options: Options, actor: nn.Module, normaliser: Normaliser) -> None:
        super().__init__(actor, normaliser)
        self.critics = make_critics(options)
        self.target_critics = make_critics(without_dropout(options))
        self.followed: list[tuple[nn.Module, nn.Module]] = []
        self.add_target(self.target_critics, self.critics)

    def add_target(self, target: nn.Module, online: nn.Module) -> None:
        """Let `target` start as `online` and follow it from then on."""
        start_target(target, online)
        self.followed.append((target, online))

    def move_targets(self, share: float) -> None:
        """Move every target network by that share of its way."""
        for target, online in self.followed:
            polyak_update(target, online, share)

    def first_values(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B,) values by the first critic, held fixed."""
        return values_through_fixed_critic(self.critics[0], states, actions)


class ActorCriticLearner(Learner):
    """Critics drawn to targets, and an actor; sub-classes give the targets and the loss of the actor.

    The actor and the target networks move at every `policy_delay`-th update.
    """

    model: ActorCriticModel

    def __init__(
        self,
        options: Options,
        model: ActorCriticModel,
        policy_delay: int = 1,
        lay_out: LayOut = with_next_states,
        noise: Noise = no_noise,
    ) -> None:
        sampler = Transitions(options, model.normaliser, COLUMNS, lay_out, noise)
        super().__init__(options, model, sampler)
        self.policy_delay = policy_delay

    def move(self, done: int, generator: np.random.Generator) -> None:
        """Move the target networks, by the update before if that was the actor's turn."""
        if done and done % self.policy_delay == 0:
            self.model.move_targets(self.options["target_update"])

    @abstractmethod
    def next_values(self, batch: Batch) -> Tensor:
        """(B,) values of the next states."""

    @torch.no_grad()
    def targets(self, batch: Batch) -> Tensor:
        """(B,) targets of the critics: r + discount (1 - termination) times the next state's value."""
        ahead = self.options["value_discount"] * (1.0 - batch["terminations"])
        return batch["rewards"] + ahead * self.next_values(batch)

    @hook
    def critic_loss(self, batch: Batch) -> Tensor:
        """Mean squared error of each critic, summed."""
        values = values_of(self.model.critics, batch["states"], batch["actions"])
        return (values - self.targets(batch)).square().mean(dim=1).sum()

    @abstractmethod
    def actor_loss(self, batch: Batch) -> Tensor:
        """What the actor descends, a scalar that the critics' parameters get no gradient from."""

    @hook
    def further_loss(self, batch: Batch) -> Tensor | None:
        """What another network of the method descends, if it has one."""
        return None

    def loss(self, batch: Batch) -> Tensor:
        """The critics' loss, the actor's when it is its turn, and that of a further network."""
        loss = self.critic_loss(batch)
        if self.update % self.policy_delay == 0:
            loss = loss + self.actor_loss(batch)
        further = self.further_loss(batch)
        return loss if further is None else loss + further

    def policy(self, trial: Trial) -> FeedForwardPolicy:
        """The trained actor as a policy."""
        return FeedForwardPolicy(self.model, trial, discrete=False)
