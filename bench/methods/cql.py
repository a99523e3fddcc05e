"""CQL(H) (Kumar et al. 2020): soft actor-critic whose critics are pushed down off the dataset's actions.

Beside the squared error each critic descends `conservative_weight` times

    log mean_j exp(Q(s, a_j) - log density of a_j)  -  Q(s, a of the dataset)

over `sampled_actions` actions drawn evenly and as many of the actor's, each with the density that it was
drawn from (equation 4 and Appendix F). As in the authors' code for MuJoCo: targets hold no entropy, the
coefficient of entropy is tuned to an entropy of minus the number of an action's numbers, and the actor begins
by cloning, for `cloning_updates`. On frames it is another method, that of `bench.methods.discrete_cql`. The
code also draws the actor's actions of the next state, which estimates the same integral and is left out; its
actor has a smaller learning rate of its own.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from bench.catalogue.option_types import Options
from bench.methods.actor_critic import ActorCriticLearner, ActorCriticModel
from bench.methods.base import Batch
from bench.methods.base import Learner as BaseLearner
from bench.methods.critics import values_of, values_through_fixed_critic
from bench.methods.discrete_cql import DiscreteCQLLearner
from bench.methods.feed_forward import perceptron
from bench.methods.frames import reads_frames
from bench.methods.normaliser import make_normaliser

LOG_DEVIATIONS = (-20.0, 2.0)  # bounds of the authors' code
# Cloned actions are read at most this far out. In stand-in Hopper-medium 30 % of the numbers are -1 or 1,
# which tanh never reaches; the nearer to it they are read, the more of the likelihood is about them.
INSIDE = 0.99


def log_slope(latent: Tensor) -> Tensor:
    """Log of the derivative of tanh, 1 - tanh^2, exact where tanh is 1 up to rounding."""
    return 2.0 * (math.log(2.0) - latent - nn.functional.softplus(-2.0 * latent))


class GaussianActor(nn.Module):
    """Actions tanh(u), u normal with mean and deviation from the state; a forward pass gives tanh(mean)."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.network = perceptron(options["observation_dim"], 2 * options["action_dim"], options)

    def forward(self, states: Tensor) -> Tensor:
        """(..., A) of states (..., S)."""
        return torch.tanh(self.network(states).chunk(2, dim=-1)[0])

    def latent(self, states: Tensor) -> Normal:
        """Distribution of u (..., A)."""
        mean, log_deviation = self.network(states).chunk(2, dim=-1)
        # Unchecked: a look at the values would wait for a GPU, and what diverges shows in the loss.
        return Normal(mean, log_deviation.clamp(*LOG_DEVIATIONS).exp(), validate_args=False)

    def sample(self, states: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (..., B, A) of states (B, S), by standard normal noise of that shape, and log densities."""
        latent = self.latent(states)
        drawn = latent.mean + latent.stddev * noise
        return torch.tanh(drawn), (latent.log_prob(drawn) - log_slope(drawn)).sum(dim=-1)

    def log_density(self, states: Tensor, actions: Tensor) -> Tensor:
        """(B,) log density of actions (B, A) in states (B, S)."""
        drawn = torch.atanh(actions.clamp(-INSIDE, INSIDE))
        density: Tensor = self.latent(states).log_prob(drawn)
        return (density - log_slope(drawn)).sum(dim=-1)


class CQLModel(ActorCriticModel):
    """A stochastic actor, critics, and the logarithm of the coefficient of entropy."""

    actor: GaussianActor

    def __init__(self, options: Options) -> None:
        super().__init__(options, GaussianActor(options), make_normaliser(options))
        self.log_entropy_weight = nn.Parameter(
            torch.tensor(math.log(options["entropy_weight"])), requires_grad=options["tune_entropy"]
        )


class ContinuousCQLLearner(ActorCriticLearner):
    """Conservative critics and a soft actor."""

    model: CQLModel

    def __init__(self, options: Options) -> None:
        super().__init__(options, CQLModel(options), noise=self.draw_noise)

    def draw_noise(self, count: int, generator: np.random.Generator) -> Batch:
        """Standard normal noise for the actor here and ahead, and candidates for the conservative term."""
        shape = count, self.options["action_dim"]
        many = self.options["sampled_actions"], *shape
        normal = {"noise": shape, "next_noise": shape, "candidate_noise": many}
        drawn = {name: generator.standard_normal(size, dtype=np.float32) for name, size in normal.items()}
        even = generator.uniform(-1.0, 1.0, many).astype(np.float32)
        return {name: torch.from_numpy(values) for name, values in (drawn | {"candidates": even}).items()}

    def next_values(self, batch: Batch) -> Tensor:
        """(B,) min_i Q'_i(s', a'), a' drawn by the actor; Q' are the target critics."""
        actions, _ = self.model.actor.sample(batch["next_states"], batch["next_noise"])
        return values_of(self.model.target_critics, batch["next_states"], actions).amin(dim=0)

    def candidates(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Actions (2 N, B, A), evenly drawn and the actor's, and their log densities (2 N, B)."""
        even = batch["candidates"]
        with torch.no_grad():
            own, densities = self.model.actor.sample(batch["states"], batch["candidate_noise"])
        of_even = torch.full_like(densities, -even.shape[-1] * math.log(2.0))
        return torch.cat([even, own]), torch.cat([of_even, densities])

    def critic_loss(self, batch: Batch) -> Tensor:
        """Squared error and conservative term, both summed over the critics."""
        states, (actions, densities) = batch["states"], self.candidates(batch)
        known = values_of(self.model.critics, states, batch["actions"])
        asked = values_of(self.model.critics, states.expand(len(actions), -1, -1), actions)
        soft = torch.logsumexp(asked - densities, dim=1) - math.log(len(actions))
        conservative = (soft - known).mean(dim=1).sum()
        errors = (known - self.targets(batch)).square().mean(dim=1).sum()
        return errors + self.options["conservative_weight"] * conservative

    def actor_loss(self, batch: Batch) -> Tensor:
        """Mean of w log pi(a | s) - min_i Q_i(s, a) over the actor's actions, and the loss of w.

        While the actor clones, log pi of the dataset's actions takes the place of the values.
        """
        model, states = self.model, batch["states"]
        actions, densities = model.actor.sample(states, batch["noise"])
        if self.update <= self.options["cloning_updates"]:
            gained = model.actor.log_density(states, batch["actions"])
        else:
            gained = torch.minimum(
                *(values_through_fixed_critic(critic, states, actions) for critic in model.critics)
            )
        weight = model.log_entropy_weight.exp().detach()
        return (weight * densities - gained).mean() + self.entropy_loss(densities)

    def entropy_loss(self, densities: Tensor) -> Tensor:
        """-log w times how far the entropy, minus the mean of log densities (B,), is below its target -A."""
        missing = densities.detach() - self.options["action_dim"]
        return -(self.model.log_entropy_weight * missing).mean()


def make_learner(options: Options) -> BaseLearner:
    """The learner of continuous actions, or that of games."""
    return DiscreteCQLLearner(options) if reads_frames(options) else ContinuousCQLLearner(options)


# A method's module is asked for this name.
Learner = make_learner
