"""What TD3 and TD3+BC share: two critics, slow copies, and one joint loss (Fujimoto et al. 2018).

Tricks, those of the paper:
1. Clipped double Q-learning: a target is the smaller of the two slow critics' values (Section 4.2).
2. Delayed updates: the actor and all slow copies move at every `policy_delay`-th update (Section 5.2).
3. Target policy smoothing: clipped noise on the action of the slow actor (Section 5.3).

One optimiser updates everything: the loss is the critics' and, when it is its turn, the actor's, whose
gradient does not reach the critics, nor theirs the actor. Unlike in the authors' code, the actor climbs the
critic as it is before the update that both take part in, and not after. Nothing comes after a termination,
whereas an episode that was cut goes on from its final observation.

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
from bench.methods.feed_forward import FeedForwardLearner, FeedForwardModel, Floats, make_actor, perceptron

CRITICS = 2


def successors(dataset: Trajectories) -> Floats:
    """(transitions, S) observation after each transition: the next row, or the trajectory's final one."""
    following = np.roll(dataset.observations, -1, axis=0)
    following[dataset.starts[1:] - 1] = dataset.final_observations
    return following


def make_critics(options: dict[str, Any]) -> nn.ModuleList:
    """Networks from a state with its action (B, S + A) to a value (B, 1)."""
    inputs = options["observation_dim"] + options["action_dim"]
    return nn.ModuleList(perceptron(inputs, 1, options) for _ in range(CRITICS))


def values_of(critics: nn.ModuleList, states: Tensor, actions: Tensor) -> Tensor:
    """(critics, B) values of actions (B, A) in states (B, S)."""
    pairs = torch.cat([states, actions], dim=-1)
    return torch.stack([critic(pairs).squeeze(-1) for critic in critics])


class ActorCriticModel(FeedForwardModel):
    """An actor, two critics, and slow copies of all three, which no gradient reaches and no dropout thins."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.critics = make_critics(options)
        self.slow_actor = make_actor(options | {"dropout": 0.0})
        self.slow_critics = make_critics(options | {"dropout": 0.0})
        for slow, fast in ((self.slow_actor, self.actor), (self.slow_critics, self.critics)):
            slow.load_state_dict(fast.state_dict())
            slow.requires_grad_(False)

    @torch.no_grad()
    def follow(self, share: float) -> None:
        """Move every slow copy by that share of its way to the original."""
        for slow, fast in ((self.slow_actor, self.actor), (self.slow_critics, self.critics)):
            for behind, ahead in zip(slow.parameters(), fast.parameters(), strict=True):
                behind.lerp_(ahead, share)

    def judged(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B,) values by the first critic, its parameters held fixed: gradients reach the actions alone."""
        critic = self.critics[0]
        fixed = {name: parameter.detach() for name, parameter in critic.named_parameters()}
        values: Tensor = functional_call(critic, fixed, (torch.cat([states, actions], dim=-1),))
        return values.squeeze(-1)


class ActorCriticLearner(FeedForwardLearner):
    """TD3's critics and schedule; sub-classes give the loss of the actor."""

    model: ActorCriticModel

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.drawn = 0

    def make_model(self) -> ActorCriticModel:
        """Actor, critics and their slow copies, freshly initialised."""
        return ActorCriticModel(self.options)

    @property
    def actors_turn(self) -> bool:
        """Whether the batch drawn last updates the actor too; so does a batch before any was drawn."""
        return bool(self.drawn % self.options["policy_delay"] == 0)

    def lay_out(self, dataset: Trajectories) -> dict[str, Floats]:
        """Also rewards and terminations (n,), and the states that follow (n, S)."""
        return super().lay_out(dataset) | {
            "rewards": dataset.rewards,
            "following": self.normalise(successors(dataset)),
            "terminations": dataset.terminations,
        }

    def batch(self, dataset: Trajectories, generator: np.random.Generator) -> Batch:
        """Transitions drawn evenly, and the noise (B, A) on the target's actions."""
        if self.drawn and self.actors_turn:
            self.model.follow(self.options["target_update"])
        self.drawn += 1
        drawn = super().batch(dataset, generator)
        return drawn | {"noise": self.noise(self.options["batch_size"], generator)}

    def noise(self, count: int, generator: np.random.Generator) -> Tensor:
        """(count, A) of deviation `policy_noise`, cut at plus and minus `noise_clip`."""
        drawn = generator.standard_normal((count, self.options["action_dim"]), dtype=np.float32)
        bound = self.options["noise_clip"]
        return torch.from_numpy(drawn).mul(self.options["policy_noise"]).clamp(-bound, bound)

    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Transitions with random content, none of them the last of its episode."""
        known = super().synthetic_batch(sequences, generator)
        following = generator.standard_normal((sequences, self.options["observation_dim"]), dtype=np.float32)
        return known | {
            "rewards": torch.from_numpy(generator.standard_normal(sequences, dtype=np.float32)),
            "following": torch.from_numpy(following),
            "terminations": torch.zeros(sequences),
            "noise": self.noise(sequences, generator),
        }

    @torch.no_grad()
    def targets(self, batch: Batch) -> Tensor:
        """(B,) targets of the critics: r + discount (1 - termination) min_i Q'_i(s', clip(pi'(s') + noise)).

        Primes mark the slow copies and the state that follows.
        """
        actions = (self.model.slow_actor(batch["following"]) + batch["noise"]).clamp(-1.0, 1.0)
        values = values_of(self.model.slow_critics, batch["following"], actions).amin(dim=0)
        ahead = self.options["value_discount"] * (1.0 - batch["terminations"])
        return batch["rewards"] + ahead * values

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
