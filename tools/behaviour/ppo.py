"""Proximal policy optimisation, just large enough to train the behaviour policies of local datasets.

The learner here is also that of the games (`game_ppo.py`), which bring a network and settings of their own.
Method: Schulman et al. 2017 (arXiv 1707.06347). What is done beyond the paper, each a known help on MuJoCo:

1. observations are normalised by running moments and clipped at 10 standard deviations;
2. rewards are divided by the running deviation of the discounted return and clipped at 10;
3. orthogonal initialisation, gain sqrt(2), and 0.01 for the layer of the action means, 1 for the value;
4. one log deviation for each action, independent of the observation, the same for all at the start;
5. generalised advantage estimation, advantages normalised in each minibatch;
6. an episode cut by the time limit is bootstrapped with the critic's value, a terminated one is not;
7. gradient norm clipped at 0.5; constant learning rate, so that a snapshot does not depend on how much longer
   the run goes on.

Deterministic: the same arguments on the same machine and library versions, with one thread, give the same
bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.datasets.policies import BehaviourPolicy
from tools.behaviour.rollout import Rollout, RolloutCollector


@dataclass(frozen=True)
class PPOSettings:
    """Hyper-parameters; `rollout_steps` counts steps of each environment between two updates."""

    environments: int = 8
    rollout_steps: int = 256
    hidden: int = 64
    epochs: int = 10
    minibatch: int = 64
    learning_rate: float = 3e-4
    discount: float = 0.99
    trace_decay: float = 0.95
    clip: float = 0.2
    value_coefficient: float = 0.5
    gradient_norm: float = 0.5
    initial_deviation: float = 1.0
    entropy_coefficient: float = 0.0

    @property
    def steps_per_update(self) -> int:
        """Environment steps between two updates; snapshots fall on multiples of it."""
        return self.environments * self.rollout_steps


def train(
    env_id: str, snapshot_steps: Sequence[int], seed: int, settings: PPOSettings | None = None
) -> Iterator[tuple[int, BehaviourPolicy]]:
    """Train on `env_id` and yield (environment steps done, policy) at each of `snapshot_steps`.

    A snapshot is taken after the first update that reaches its number of steps, one of 0 steps before any.
    Sets torch to one thread. Raises ValueError for steps that are negative or do not increase strictly,
    FloatingPointError on divergence.
    """
    if not snapshot_steps or any(b <= a for a, b in pairwise((-1, *snapshot_steps))):
        raise ValueError(
            f"Snapshot steps must be at least 0 and strictly increasing, not {list(snapshot_steps)}."
        )
    settings = settings or PPOSettings()
    torch.set_num_threads(1)
    environment_seeds, learner_seeds = np.random.SeedSequence(seed).spawn(2)
    collector = RolloutCollector(env_id, settings.environments, settings.discount, environment_seeds)
    random = np.random.default_rng(learner_seeds)
    network = ActorCritic(
        collector.batch.observation_dim, collector.batch.action_dim, settings, initial_generator(random)
    )
    learner = Learner(network, settings, random)
    steps = 0
    for target in snapshot_steps:
        while steps < target:
            learner.update(collector.collect(settings.rollout_steps, learner.act, learner.value))
            steps += settings.steps_per_update
        yield steps, _snapshot(env_id, collector, network)
    collector.batch.close()


def initial_generator(random: np.random.Generator) -> torch.Generator:
    """The stream of a network's first weights, drawn from the learner's."""
    return torch.Generator().manual_seed(int(random.integers(2**31)))


class PolicyNetwork(Protocol):
    """What the learner asks of a network (an `nn.Module`); `states` (batch, dim) are normalised."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """All that is learnt."""

    def sample(self, states: Tensor, random: np.random.Generator) -> Tensor:
        """Sampled actions (batch, ...)."""

    def log_probability(self, states: Tensor, actions: Tensor) -> Tensor:
        """Log-probability or log-density (batch,) of `actions` (batch, ...)."""

    def entropy(self, states: Tensor) -> Tensor:
        """Entropy (batch,) of the policy, in nats."""

    def value(self, states: Tensor) -> Tensor:
        """Values (batch,) of the states."""


class ActorCritic(nn.Module):
    """Two separate two-layer tanh networks: action means (batch, action_dim) and state values (batch,)."""

    def __init__(
        self, observation_dim: int, action_dim: int, settings: PPOSettings, generator: torch.Generator
    ) -> None:
        super().__init__()
        hidden = settings.hidden
        self.actor = layered_network((observation_dim, hidden, hidden, action_dim), nn.Tanh, 0.01, generator)
        self.critic = layered_network((observation_dim, hidden, hidden, 1), nn.Tanh, 1.0, generator)
        self.log_std = nn.Parameter(torch.full((action_dim,), math.log(settings.initial_deviation)))

    def value(self, observations: Tensor) -> Tensor:
        """State values (batch,)."""
        return self.critic(observations).squeeze(-1)

    def sample(self, observations: Tensor, random: np.random.Generator) -> Tensor:
        """Sampled actions (batch, action_dim), not clipped."""
        means = self.actor(observations)
        noise = torch.from_numpy(random.standard_normal(means.shape, np.float32))
        return means + noise * torch.exp(self.log_std)

    def log_probability(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Log-density (batch,) of unclipped `actions` (batch, action_dim) under the Gaussian policy."""
        deviations = (actions - self.actor(observations)) * torch.exp(-self.log_std)
        return (-0.5 * deviations**2 - self.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self, observations: Tensor) -> Tensor:
        """Entropy (batch,) of the Gaussian policy, which is the same in every state."""
        return (self.log_std + 0.5 * math.log(2 * math.pi * math.e)).sum().expand(len(observations))


class Learner:
    """A network, its optimiser, and the random stream of acting and of minibatches."""

    def __init__(self, network: PolicyNetwork, settings: PPOSettings, random: np.random.Generator) -> None:
        self.settings = settings
        self._random = random
        self.network = network
        self._optimiser = torch.optim.Adam(
            self.network.parameters(), settings.learning_rate, eps=1e-5, fused=True
        )

    @torch.no_grad()
    def act(
        self, observations: NDArray[np.float32]
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """Sampled actions (environments, ...), log-probabilities and values, each (environments,)."""
        states = torch.from_numpy(observations)
        actions = self.network.sample(states, self._random)
        log_probabilities = self.network.log_probability(states, actions)
        return actions.numpy(), log_probabilities.numpy(), self.network.value(states).numpy()

    @torch.no_grad()
    def value(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """State values (environments,) of normalised observations (environments, dim)."""
        return self.network.value(torch.from_numpy(observations)).numpy()

    def update(self, rollout: Rollout, rate_share: float = 1.0) -> None:
        """Several epochs over one rollout in shuffled minibatches, at a share of the learning rate.

        Raises FloatingPointError when the network is no longer finite.
        """
        settings = self.settings
        for group in self._optimiser.param_groups:
            group["lr"] = settings.learning_rate * rate_share
        advantages, returns = generalised_advantages(rollout, settings.discount, settings.trace_decay)
        flat = [rollout.observations, rollout.actions, rollout.log_probabilities, advantages, returns]
        columns = [torch.from_numpy(array.reshape(-1, *array.shape[2:])) for array in flat]
        for _ in range(settings.epochs):
            order = torch.from_numpy(self._random.permutation(len(columns[0])))
            for rows in order.split(settings.minibatch):
                self._gradient_step(*(column[rows] for column in columns))
        if not all(torch.isfinite(parameter).all() for parameter in self.network.parameters()):
            raise FloatingPointError("PPO diverged: its weights are not finite. Use another seed.")

    def _gradient_step(
        self,
        states: Tensor,
        actions: Tensor,
        old_log_probabilities: Tensor,
        advantages: Tensor,
        returns: Tensor,
    ) -> None:
        settings = self.settings
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        ratio = torch.exp(self.network.log_probability(states, actions) - old_log_probabilities)
        clipped = ratio.clamp(1 - settings.clip, 1 + settings.clip)
        policy_loss = -torch.minimum(ratio * advantages, clipped * advantages).mean()
        value_loss = 0.5 * (self.network.value(states) - returns).square().mean()
        loss = policy_loss + settings.value_coefficient * value_loss
        if settings.entropy_coefficient:
            loss = loss - settings.entropy_coefficient * self.network.entropy(states).mean()
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), settings.gradient_norm)
        self._optimiser.step()


def generalised_advantages(
    rollout: Rollout, discount: float, trace_decay: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Generalised advantage estimates and the value targets, each (steps, environments) float32."""
    advantages = np.empty_like(rollout.rewards)
    following_value, trace = rollout.last_values, np.zeros_like(rollout.last_values)
    for step in range(len(advantages) - 1, -1, -1):
        goes_on = 1 - rollout.ends[step]
        error = rollout.rewards[step] + discount * goes_on * following_value - rollout.values[step]
        trace = error + discount * trace_decay * goes_on * trace
        advantages[step] = trace
        following_value = rollout.values[step]
    return advantages, advantages + rollout.values


def layered_network(
    sizes: Sequence[int], activation: type[nn.Module], last_gain: float, generator: torch.Generator
) -> nn.Sequential:
    """Linear layers of these sizes with the activation between them, orthogonal at the start, biases 0."""
    modules: list[nn.Module] = []
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        linear = nn.Linear(inputs, outputs)
        gain = last_gain if layer == len(sizes) - 2 else math.sqrt(2)
        nn.init.orthogonal_(linear.weight, gain, generator)
        nn.init.zeros_(linear.bias)
        modules += [linear, activation()]
    return nn.Sequential(*modules[:-1])


def half_layers(
    network: nn.Sequential,
) -> tuple[tuple[NDArray[np.float16], ...], tuple[NDArray[np.float16], ...]]:
    """Weights (inputs, outputs) and biases (outputs,) of a network's linear layers, in half precision."""
    layers = [module for module in network if isinstance(module, nn.Linear)]
    weights = tuple(_half(layer.weight.T) for layer in layers)
    return weights, tuple(_half(layer.bias) for layer in layers)


def _snapshot(env_id: str, collector: RolloutCollector, network: ActorCritic) -> BehaviourPolicy:
    weights, biases = half_layers(network.actor)
    moments = collector.observation_moments
    return BehaviourPolicy(
        env_id=env_id,
        observation_mean=moments.mean.astype(np.float32),
        observation_std=moments.std.astype(np.float32),
        weights=weights,
        biases=biases,
        log_std=_half(network.log_std),
        record={},
    )


def _half(tensor: Tensor) -> NDArray[np.float16]:
    return np.ascontiguousarray(tensor.detach().numpy().astype(np.float16))
