"""What TD3 and TD3+BC share (Fujimoto et al. 2018), on the ground of `bench.methods.actor_critic`.

Tricks, those of the paper:
1. Clipped double Q-learning: a target is the smaller of the two slow critics' values (Section 4.2).
2. Delayed updates: the actor and all slow copies move at every `policy_delay`-th update (Section 5.2).
3. Target policy smoothing: clipped noise on the action of the slow actor (Section 5.3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.methods.actor_critic import ActorCriticLearner, ActorCriticModel, values_of
from bench.methods.base import Batch
from bench.methods.feed_forward import make_actor


class TwinDelayedModel(ActorCriticModel):
    """An actor and two critics, and a slow copy of all three."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.slow_actor = make_actor(options | {"dropout": 0.0})
        self.begin_copy(self.slow_actor, self.actor)


class TwinDelayedLearner(ActorCriticLearner):
    """TD3's targets and schedule; sub-classes give the loss of the actor."""

    model: TwinDelayedModel

    def make_model(self) -> TwinDelayedModel:
        """Actor, critics and their slow copies, freshly initialised."""
        return TwinDelayedModel(self.options)

    @property
    def actors_turn(self) -> bool:
        """Every `policy_delay`-th update; so is a batch before any was drawn."""
        return bool(self.drawn % self.options["policy_delay"] == 0)

    def draws(self, count: int, generator: np.random.Generator) -> Batch:
        """Noise (count, A) on the target's actions, of deviation `policy_noise`, cut at +-`noise_clip`."""
        drawn = generator.standard_normal((count, self.options["action_dim"]), dtype=np.float32)
        bound = self.options["noise_clip"]
        return {"noise": torch.from_numpy(drawn).mul(self.options["policy_noise"]).clamp(-bound, bound)}

    def values_ahead(self, batch: Batch) -> Tensor:
        """(B,) min_i Q'_i(s', clip(pi'(s') + noise)); primes mark slow copies and the state that follows."""
        actions = (self.model.slow_actor(batch["following"]) + batch["noise"]).clamp(-1.0, 1.0)
        return values_of(self.model.slow_critics, batch["following"], actions).amin(dim=0)
