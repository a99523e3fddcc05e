"""PPO for the games over the console's memory: the learner of `ppo.py`, with a softmax policy.

Beyond what `ppo.py` lists:

1. features are the bytes and their changes since the last decision, standardised by running moments that are
   held still within a rollout;
2. rewards are reduced to their signs, and a lost life ends an episode;
3. an entropy bonus, and a learning rate that falls to 0 linearly: a snapshot depends on how long the run is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from bench.datasets.policies import BehaviourPolicy
from bench.datasets.ram_policies import FEATURES
from tools.behaviour.game_play import GameCollector
from tools.behaviour.ppo import Learner, PPOSettings, half_layers, initial_generator, layered_network

LATEST = 50  # finished games behind the score that is reported


@dataclass(frozen=True)
class Progress:
    """Where a run stands: decisions of all games, processor seconds, mean score of the latest games."""

    decisions: int
    seconds: float
    finished: int
    latest_score: float


class SoftmaxActorCritic(nn.Module):
    """Two separate two-layer ReLU networks: logits (batch, actions) and state values (batch,)."""

    def __init__(self, features: int, actions: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.actor = layered_network((features, hidden, hidden, actions), nn.ReLU, 0.01, generator)
        self.critic = layered_network((features, hidden, hidden, 1), nn.ReLU, 1.0, generator)

    def value(self, states: Tensor) -> Tensor:
        """State values (batch,) of standardised features (batch, features)."""
        return self.critic(states).squeeze(-1)

    def sample(self, states: Tensor, random: np.random.Generator) -> Tensor:
        """Sampled actions (batch,) int64, by the Gumbel-max rule."""
        logits = self.actor(states)
        return (logits + torch.from_numpy(random.gumbel(size=logits.shape))).argmax(-1)

    def log_probability(self, states: Tensor, actions: Tensor) -> Tensor:
        """Log-probability (batch,) of `actions` (batch,)."""
        return self._log_probabilities(states).gather(-1, actions[:, None]).squeeze(-1)

    def entropy(self, states: Tensor) -> Tensor:
        """Entropy (batch,) in nats."""
        logs = self._log_probabilities(states)
        return -(logs.exp() * logs).sum(-1)

    def _log_probabilities(self, states: Tensor) -> Tensor:
        return torch.log_softmax(self.actor(states), -1)


def train(
    env_id: str, decisions: int, snapshot_shares: Sequence[float], seed: int, settings: PPOSettings
) -> Iterator[tuple[Progress, BehaviourPolicy | None]]:
    """Train on a game for about `decisions` decisions of all its copies together.

    Yields its progress after each update, with the policy after those that reach one of `snapshot_shares` of
    the run and with None after the others. Sets torch to one thread. Raises FloatingPointError on
    divergence.
    """
    torch.set_num_threads(1)
    game_seeds, learner_seeds = np.random.SeedSequence(seed).spawn(2)
    random = np.random.default_rng(learner_seeds)
    collector = GameCollector(env_id, settings.environments, game_seeds)
    initial = initial_generator(random)
    network = SoftmaxActorCritic(FEATURES, collector.actions, settings.hidden, initial)
    learner = Learner(network, settings, random)
    began = time.process_time()
    updates = max(1, round(decisions / settings.steps_per_update))
    wanted = {max(1, round(share * updates)) for share in snapshot_shares}
    for update in range(1, updates + 1):
        rollout = collector.collect(settings.rollout_steps, learner.act, learner.value)
        learner.update(rollout, 1 - (update - 1) / updates)
        latest = collector.finished[-LATEST:]
        progress = Progress(
            decisions=update * settings.steps_per_update,
            seconds=time.process_time() - began,
            finished=len(collector.finished),
            latest_score=float(np.mean(latest)) if latest else float("nan"),
        )
        yield progress, _snapshot(env_id, collector, network) if update in wanted else None


def _snapshot(env_id: str, collector: GameCollector, network: SoftmaxActorCritic) -> BehaviourPolicy:
    weights, biases = half_layers(network.actor)
    return BehaviourPolicy(
        env_id=env_id,
        observation_mean=collector.moments.mean.astype(np.float32),
        observation_std=collector.moments.std.astype(np.float32),
        weights=weights,
        biases=biases,
        log_std=np.empty(0, np.float16),
        record={},
    )
