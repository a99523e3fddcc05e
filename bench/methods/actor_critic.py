"""What the actor-critics share: two critics, their slow copies, and one joint loss.

One optimiser updates everything: the loss is the critics' and, when it is its turn, the actor's, whose
gradient does not reach the critics, nor theirs the actor. Unlike in the authors' codes, the actor climbs the
critics as they are before the update that both take part in, and not after; and every network has one
learning rate. Nothing comes after a termination, whereas an episode that was cut goes on from its final
observation.

`batch` is called once an update: it moves the slow copies, by the update before, and draws.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch
from bench.methods.feed_forward import FeedForwardLearner, FeedForwardModel, Floats, perceptron

CRITICS = 2


def successors(dataset: Trajectories) -> Floats:
    """(transitions, S) observation after each transition: the next row, or the trajectory's final one."""
    following = np.roll(dataset.observations, -1, axis=0)
    following[dataset.starts[1:] - 1] = dataset.final_observations
    return following


def make_critics(options: dict[str, Any]) -> nn.ModuleList:
    """Networks from a state with its action (..., S + A) to a value (..., 1)."""
    inputs = options["observation_dim"] + options["action_dim"]
    return nn.ModuleList(perceptron(inputs, 1, options) for _ in range(CRITICS))


def values_of(critics: nn.ModuleList, states: Tensor, actions: Tensor) -> Tensor:
    """(critics, ...) values of actions (..., A) in states (..., S)."""
    pairs = torch.cat([states, actions], dim=-1)
    return torch.stack([critic(pairs).squeeze(-1) for critic in critics])


def judged_by(critic: nn.Module, states: Tensor, actions: Tensor) -> Tensor:
    """(B,) values by a critic whose parameters are held fixed: gradients reach the actions alone."""
    fixed = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    values: Tensor = functional_call(critic, fixed, (torch.cat([states, actions], dim=-1),))
    return values.squeeze(-1)


class ActorCriticModel(FeedForwardModel):
    """An actor, two critics, and their slow copies, which no gradient reaches and no dropout thins."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.critics = make_critics(options)
        self.slow_critics = make_critics(options | {"dropout": 0.0})
        self.copies: list[tuple[nn.Module, nn.Module]] = []
        self.begin_copy(self.slow_critics, self.critics)

    def begin_copy(self, slow: nn.Module, fast: nn.Module) -> None:
        """Let `slow` start as `fast`, out of reach of gradients, and follow it from then on."""
        slow.load_state_dict(fast.state_dict())
        slow.requires_grad_(False)
        self.copies.append((slow, fast))

    @torch.no_grad()
    def follow(self, share: float) -> None:
        """Move every slow copy by that share of its way to the original."""
        for slow, fast in self.copies:
            for behind, ahead in zip(slow.parameters(), fast.parameters(), strict=True):
                behind.lerp_(ahead, share)

    def judged(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B,) values by the first critic, held fixed."""
        return judged_by(self.critics[0], states, actions)


class ActorCriticLearner(FeedForwardLearner):
    """Critics drawn to targets, and an actor; sub-classes give the targets and the loss of the actor."""

    model: ActorCriticModel

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.drawn = 0

    def make_model(self) -> ActorCriticModel:
        """Actor, critics and their slow copies, freshly initialised."""
        return ActorCriticModel(self.options)

    @property
    def actors_turn(self) -> bool:
        """Whether the batch drawn last updates the actor and the slow copies too."""
        return True

    def lay_out(self, dataset: Trajectories) -> dict[str, Floats]:
        """Also rewards and terminations (n,), and the states that follow (n, S)."""
        return super().lay_out(dataset) | {
            "rewards": dataset.rewards,
            "following": self.normalise(successors(dataset)),
            "terminations": dataset.terminations,
        }

    def batch(self, dataset: Trajectories, generator: np.random.Generator) -> Batch:
        """Transitions drawn evenly, and what else is drawn at random for their losses."""
        if self.drawn and self.actors_turn:
            self.model.follow(self.options["target_update"])
        self.drawn += 1
        drawn = super().batch(dataset, generator)
        return drawn | self.draws(self.options["batch_size"], generator)

    def draws(self, count: int, generator: np.random.Generator) -> Batch:
        """Random numbers that the losses of `count` transitions take, such as noise on actions; here none."""
        return {}

    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Transitions with random content, none of them the last of its episode."""
        known = super().synthetic_batch(sequences, generator)
        following = generator.standard_normal((sequences, self.options["observation_dim"]), dtype=np.float32)
        return (
            known
            | {
                "rewards": torch.from_numpy(generator.standard_normal(sequences, dtype=np.float32)),
                "following": torch.from_numpy(following),
                "terminations": torch.zeros(sequences),
            }
            | self.draws(sequences, generator)
        )

    @abstractmethod
    def values_ahead(self, batch: Batch) -> Tensor:
        """(B,) values of the states that follow."""

    @torch.no_grad()
    def targets(self, batch: Batch) -> Tensor:
        """(B,) targets of the critics: r + discount (1 - termination) times the value ahead."""
        ahead = self.options["value_discount"] * (1.0 - batch["terminations"])
        return batch["rewards"] + ahead * self.values_ahead(batch)

    def critic_loss(self, batch: Batch) -> Tensor:
        """Mean squared error of each critic, summed."""
        values = values_of(self.model.critics, batch["states"], batch["actions"])
        return (values - self.targets(batch)).square().mean(dim=1).sum()

    @abstractmethod
    def actor_loss(self, batch: Batch) -> Tensor:
        """What the actor descends, a scalar that the critics' parameters get no gradient from."""

    def loss(self, batch: Batch) -> Tensor:
        """The critics' loss and, when it is its turn, the actor's."""
        loss = self.critic_loss(batch)
        return loss + self.actor_loss(batch) if self.actors_turn else loss

    def state(self) -> dict[str, Any]:
        """The normaliser, and the count of updates, which says whose turn it is."""
        return super().state() | {"drawn": self.drawn}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        super().restore(state)
        self.drawn = state["drawn"]
