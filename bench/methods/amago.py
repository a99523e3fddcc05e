"""AMAGO (Grigsby et al. 2024) in its published essentials: an off-policy actor-critic over long contexts.

The test episodes of a task are one meta-episode. A causal transformer encodes all of it; from every
token an actor gives the next action and critics give the value of every action, both trained at every
position at once through the one encoder. Rewards count across episodes, so that looking for the goal
early is worth what is earned later. Written anew, since its package is not on the package index; left out
are several discounts at once, relabelling of goals in hindsight, and recurrent encoders. Actions being few,
a critic gives the value of each of them in place of taking one as input.

Tricks, in the order in which they matter here:
1. `experience=own`: meta-episodes are collected in the training tasks while training, epsilon-greedily,
   into a replay buffer; `histories` learns from the learning histories alone, `both` from half of each.
   Own experience is the default: in a 9 x 9 darkroom neither of the others improved by more than one
   reward over the test episodes within 350 (`histories`) and 800 (`both`) updates.
2. Values are normalised by mean and deviation of the discounted returns seen (PopArt).
3. The target of a value is the smallest of the slow copies' values, expected under the policy; the
   actor climbs the critics' mean value and imitates the actions that are better than the policy
   (filtered behaviour cloning).

`batch` is called once an update: it moves the slow copies (by the update before), collects, and draws.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.datasets.histories import Histories
from bench.envs.gridworld import ACTIONS, make_rooms
from bench.methods import base
from bench.methods.amago_model import AMAGOModel
from bench.methods.amago_policy import AMAGOPolicy
from bench.methods.amago_replay import Replay, joined
from bench.methods.in_context import Episodes, draw_contexts, random_episodes

RETURNS_MEMORY = 0.99  # of the running mean and deviation of the returns


def td_targets(rewards: Tensor, values: Tensor, discount: float, steps: int) -> Tensor:
    """Targets (B, L) of the values of the actions taken, over `steps` steps.

    y_l = r_l + ... + discount^(n - 1) r_(l + n - 1) + discount^n v_(l + n); nothing comes after the end
    of the meta-episode. rewards and values (B, L); v_l is the value of the state before action l.
    """
    length = rewards.shape[1]
    rewards = nn.functional.pad(rewards, (0, steps))
    targets = discount**steps * nn.functional.pad(values, (0, steps))[:, steps:]
    for step in range(steps):
        targets = targets + discount**step * rewards[:, step : step + length]
    return targets


def discounted_returns(rewards: NDArray[np.float32], discount: float) -> NDArray[np.float64]:
    """(B, L) sums of what comes from each step on, discounted, of rewards (B, L)."""
    returns = np.empty(rewards.shape)
    ahead = np.zeros(len(rewards))
    for step in reversed(range(rewards.shape[1])):
        ahead = rewards[:, step] + discount * ahead
        returns[:, step] = ahead
    return returns


class Learner(base.Learner):
    """AMAGO's losses, its experience, and what of both a checkpoint holds."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.model: AMAGOModel = AMAGOModel(options)
        self.own = {"own": 1.0, "both": 0.5, "histories": 0.0}[options["experience"]]  # share of a batch
        self.replay = Replay(options)
        self.drawn = 0
        self.moments = np.zeros(2)  # running mean of the returns and of their squares
        self.goals: NDArray[np.int64] = np.zeros((0, 2), np.int64)

    def prepare(self, dataset: Histories) -> None:
        """Take the training goals, in which own experience is collected."""
        self.goals = dataset.train_goals

    def batch(self, dataset: Histories, generator: np.random.Generator) -> base.Batch:
        """Meta-episodes of the replay buffer or of the histories; see the module on what else happens."""
        options, count = self.options, self.options["batch_size"]
        if self.drawn:
            self.model.follow(options["target_update"])
        if self.own and self.drawn % options["collect_every"] == 0:
            self._collect(generator)
        self.drawn += 1
        own = round(self.own * count)
        parts = [self.replay.draw(own, generator)] if own else []
        if count > own:
            parts.append(draw_contexts(dataset, options, count - own, generator))
        drawn = joined(parts)
        if options["value_normalisation"]:
            self._normalise(drawn.rewards)
        return self._batch(drawn)

    def _normalise(self, rewards: NDArray[np.float32]) -> None:
        scaled = self.options["reward_multiplier"] * rewards.reshape(len(rewards), -1)
        returns = discounted_returns(scaled, self.options["value_discount"])
        seen = np.array([returns.mean(), (returns**2).mean()])
        # The first batch counts whole, so that the moments are unbiased from the start.
        keep = RETURNS_MEMORY if self.drawn > 1 else 0.0
        self.moments = keep * self.moments + (1 - keep) * seen
        deviation = float(np.sqrt(max(self.moments[1] - self.moments[0] ** 2, 0.0)))
        self.model.normalise(float(self.moments[0]), max(deviation, 1e-2))

    def epsilon(self) -> float:
        """Probability of a random action at this moment: falls linearly, then stays."""
        options = self.options
        share = min(self.drawn / max(options["epsilon_share"] * options["updates"], 1), 1.0)
        first, last = options["epsilon_first"], options["epsilon_last"]
        return float(first + share * (last - first))

    @torch.no_grad()
    def _collect(self, generator: np.random.Generator) -> None:
        """Play one meta-episode in each of `collect_rooms` rooms with random training goals."""
        options, rooms = self.options, self.options["collect_rooms"]
        goals = self.goals[generator.integers(len(self.goals), size=rooms)]
        world = make_rooms(options, goals, generator)
        noise = torch.Generator().manual_seed(int(generator.integers(2**62)))
        training, policy = self.model.training, self.policy(rooms)
        shape = (rooms, options["context_episodes"], options["horizon"])
        positions = np.empty((*shape[:2], shape[2] + 1, 2), np.int16)
        actions, rewards = np.empty(shape, np.int8), np.empty(shape, np.float32)
        policy.restart()
        for episode in range(shape[1]):
            policy.next_episode()
            position = world.reset()
            for t in range(shape[2]):
                positions[:, episode, t] = position
                random = generator.random(rooms) < self.epsilon()
                likely = policy.act(position, 1.0, noise)
                policy.chosen = np.where(random, generator.integers(ACTIONS, size=rooms), likely)
                actions[:, episode, t] = policy.chosen
                position, reward, _ = world.step(policy.chosen)
                rewards[:, episode, t] = reward
                policy.observe(reward)
            positions[:, episode, shape[2]] = position
        self.replay.add(positions, actions, rewards)
        self.model.train(training)

    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> base.Batch:
        """Whole meta-episodes with random content."""
        return self._batch(
            random_episodes(self.options, sequences, self.options["context_episodes"], generator)
        )

    @staticmethod
    def _batch(episodes: Episodes) -> base.Batch:
        positions, actions, rewards = episodes.tensors
        return {"positions": positions[:, :, :-1], "actions": actions, "rewards": rewards}

    def terms(self, batch: base.Batch) -> dict[str, Tensor]:
        """The weighted parts of the loss: critics, policy, filtered behaviour cloning, entropy."""
        options, model = self.options, self.model
        logits, values, slow = model(**batch)
        actions = batch["actions"].flatten(1)
        taken = actions.unsqueeze(-1)
        rewards = options["reward_multiplier"] * batch["rewards"].flatten(1)
        logs = torch.log_softmax(logits, dim=-1)
        policy = logs.exp()
        with torch.no_grad():
            ahead = model.mean + model.scale * (policy * slow.min(dim=0).values).sum(dim=-1)
            targets = td_targets(rewards, ahead, options["value_discount"], options["td_steps"])
            targets = (targets - model.mean) / model.scale
            judged = values.mean(dim=0)
            advantage = judged - (policy * judged).sum(dim=-1, keepdim=True)
            better = (advantage.gather(-1, taken) > 0).float()
        predicted = values.gather(-1, taken.expand(len(values), *taken.shape)).squeeze(-1)
        errors = (predicted - targets).square()
        return {
            "critic": options["critic_weight"] * errors.mean(),
            "policy": -options["policy_weight"] * (policy * advantage).sum(dim=-1).mean(),
            "cloning": -options["cloning_weight"] * (better * logs.gather(-1, taken)).mean(),
            "entropy": options["entropy_weight"] * (policy * logs).sum(dim=-1).mean(),
        }

    def loss(self, batch: base.Batch) -> Tensor:
        """Sum of the losses of the critics and of the actor."""
        return torch.stack(list(self.terms(batch).values())).sum()

    def state(self) -> dict[str, Any]:
        """The replay buffer, the clock of its exploration and the running moments of the returns."""
        return {
            "replay": vars(self.replay.episodes).copy(),
            "added": self.replay.added,
            "drawn": self.drawn,
            "moments": self.moments,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.replay.episodes = Episodes(**state["replay"])
        self.replay.added, self.drawn, self.moments = state["added"], state["drawn"], state["moments"]

    def policy(self, rooms: int) -> AMAGOPolicy:
        """The trained actor as a policy for `rooms` rooms at once."""
        return AMAGOPolicy(self.model, self.options, self.device, rooms)
