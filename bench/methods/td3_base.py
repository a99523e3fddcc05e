"""What TD3 and TD3+BC share (Fujimoto et al. 2018), on the ground of `bench.methods.actor_critic`.

Tricks, those of the paper:
1. Clipped double Q-learning: a target is the smaller of the two target critics' values (Section 4.2).
2. Delayed updates: the actor and all target networks move at every `policy_delay`-th update (Section 5.2).
3. Target policy smoothing: clipped noise on the action of the target actor (Section 5.3).
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from bench.catalogue.option_types import Options
from bench.methods.actor_critic import ActorCriticModel
from bench.methods.base import Batch
from bench.methods.critics import values_of, without_dropout
from bench.methods.feed_forward import make_actor
from bench.methods.normaliser import make_normaliser
from bench.methods.transitions import Noise


class TD3Model(ActorCriticModel):
    """An actor and two critics, and a target network of all three."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, make_actor(options), make_normaliser(options))
        self.target_actor = make_actor(without_dropout(options))
        self.add_target(self.target_actor, self.actor)


def target_noise(options: Options) -> Noise:
    """Noise (count, A) on the target's actions, of deviation `policy_noise`, cut at +-`noise_clip`."""
    return partial(_draw_noise, options)


def _draw_noise(options: Options, count: int, generator: np.random.Generator) -> Batch:
    drawn = generator.standard_normal((count, options["action_dim"]), dtype=np.float32)
    bound = options["noise_clip"]
    return {"noise": torch.from_numpy(drawn).mul(options["policy_noise"]).clamp(-bound, bound)}


def smoothed_next_values(model: TD3Model, batch: Batch) -> Tensor:
    """(B,) min_i Q'_i(s', clip(pi'(s') + noise)); primes mark target networks and the next state."""
    actions = (model.target_actor(batch["next_states"]) + batch["noise"]).clamp(-1.0, 1.0)
    return values_of(model.target_critics, batch["next_states"], actions).amin(dim=0)
