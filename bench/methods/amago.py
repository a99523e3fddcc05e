"""AMAGO (Grigsby et al. 2024) in its published essentials: an off-policy actor-critic over long contexts.

The test episodes of a task are one meta-episode. A causal transformer encodes all of it; from every
token an actor gives the next action and critics give the value of every action, both trained at every
position at once through the one encoder. Rewards count across episodes, so that looking for the goal
early is worth what is earned later. Written anew, since its package is not on the package index; left out
are several discounts at once, a slow copy of the actor, relabelling of goals in hindsight, and recurrent
encoders. Actions being few, a critic gives the value of each of them in place of taking one as input.

Tricks, in the order in which they matter here:
1. `experience=own`: meta-episodes are collected in the training tasks while training, epsilon-greedily,
   into a replay buffer; `histories` learns from the learning histories alone, `both` from half of each.
   Own experience is the default: in a 9 x 9 darkroom neither of the others improved by more than one
   reward over the test episodes within 350 (`histories`) and 800 (`both`) updates.
2. Exploration is bilevel: epsilon falls over training and, at any time, over a meta-episode as well, from
   `epsilon_first`, `epsilon_last` at its first step to `epsilon_first_at_end`, `epsilon_last_at_end` at its
   last. Each room scales it by a number of its own (`epsilon_scaled`).
3. Values are normalised by mean and deviation of the discounted returns seen (PopArt).
4. The target of a value is the smaller of those of `critics_in_target` target networks, expected under the
   policy; they are drawn anew for each step. Published are two of four, drawn with replacement, here without,
   so that all of them can be asked for. The actor climbs the critics' mean value and imitates the actions
   that are better than the policy (filtered behaviour cloning).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.datasets.episodes import Episodes
from bench.datasets.histories import Histories
from bench.methods import base
from bench.methods.amago_model import AMAGOModel
from bench.methods.amago_policy import AMAGOPolicy
from bench.methods.amago_replay import Replay, joined
from bench.methods.base import Batch, Observation, Trial
from bench.methods.critics import polyak_update
from bench.methods.in_context import draw_contexts, random_episodes
from bench.worlds.gridworld.world import ACTIONS, make_rooms

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


class MetaEpisodes:
    """A sampler of meta-episodes, from the replay buffer or from the histories."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.own = {"own": 1.0, "both": 0.5, "histories": 0.0}[options["experience"]]  # share of a batch
        self.replay = Replay(options)

    def prepare(self, dataset: Histories) -> None:
        """Keep the histories; in their training goals own experience is collected."""
        self.dataset = dataset

    def draw(self, generator: np.random.Generator) -> Batch:
        """`batch_size` meta-episodes."""
        count = self.options["batch_size"]
        own = round(self.own * count)
        parts = [self.replay.draw(own, generator)] if own else []
        if count > own:
            parts.append(draw_contexts(self.dataset, self.options, count - own, generator))
        return self.batch_of(joined(parts), generator)

    def synthetic(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Whole meta-episodes with random content."""
        count = self.options["context_episodes"]
        return self.batch_of(random_episodes(self.options, sequences, count, generator), generator)

    def batch_of(self, episodes: Episodes, generator: np.random.Generator) -> Batch:
        """Meta-episodes, and which critics (critics in a target, B, L) the targets of their L steps ask."""
        positions, actions, rewards = episodes.tensors
        order = generator.random((self.options["critics"], len(rewards), rewards[0].numel())).argsort(axis=0)
        return {
            "positions": positions[:, :, :-1],
            "actions": actions,
            "rewards": rewards,
            "asked": torch.from_numpy(order[: self.options["critics_in_target"]]),
        }


class Learner(base.Learner):
    """AMAGO's losses, its experience, and what of both a checkpoint holds."""

    model: AMAGOModel
    sampler: MetaEpisodes

    def __init__(self, options: Options) -> None:
        super().__init__(options, AMAGOModel(options), MetaEpisodes(options))
        self.moments = np.zeros(2)  # running mean of the returns and of their squares

    def move(self, done: int, generator: np.random.Generator) -> None:
        """Move the target networks, by the update before, and collect own experience if it is time."""
        if done:
            share = self.options["target_update"]
            polyak_update(self.model.target_critics, self.model.critics, share)
        if self.sampler.own and done % self.options["collect_every"] == 0:
            self._collect(done, generator)

    def epsilon(self, done: int, played: float) -> float:
        """Probability of a random action after `done` updates, a share `played` of a meta-episode being over.

        It falls linearly over training, then stays; and linearly over the meta-episode.
        """
        options = self.options
        share = min(done / max(options["epsilon_share"] * options["updates"], 1), 1.0)
        begin = options["epsilon_first"] + share * (options["epsilon_last"] - options["epsilon_first"])
        first, last = options["epsilon_first_at_end"], options["epsilon_last_at_end"]
        return float(begin + played * (first + share * (last - first) - begin))

    @torch.no_grad()
    def _collect(self, done: int, generator: np.random.Generator) -> None:
        """Play one meta-episode in each of `collect_rooms` rooms with random training goals."""
        options, rooms = self.options, self.options["collect_rooms"]
        known = self.sampler.dataset.train_goals
        goals = known[generator.integers(len(known), size=rooms)]
        world = make_rooms(options, goals, generator)
        noise = torch.Generator().manual_seed(int(generator.integers(2**62)))
        training = self.model.training
        policy = self.policy(Trial(rooms, noise, temperature=1.0))
        shape = (rooms, options["context_episodes"], options["horizon"])
        positions = np.empty((*shape[:2], shape[2] + 1, 2), np.int16)
        actions, rewards = np.empty(shape, np.int8), np.empty(shape, np.float32)
        scale = generator.random(rooms) if options["epsilon_scaled"] else np.ones(rooms)
        policy.restart()
        for episode in range(shape[1]):
            policy.next_episode()
            position = world.reset()
            for t in range(shape[2]):
                positions[:, episode, t] = position
                played = (episode * shape[2] + t) / (shape[1] * shape[2])
                random = generator.random(rooms) < scale * self.epsilon(done, played)
                likely = policy.act(Observation(position, np.zeros(rooms, np.float32), np.ones(rooms, bool)))
                policy.chosen = np.where(random, generator.integers(ACTIONS, size=rooms), likely)
                actions[:, episode, t] = policy.chosen
                position, reward, _ = world.step(policy.chosen)
                rewards[:, episode, t] = reward
                policy.observe(reward)
            positions[:, episode, shape[2]] = position
        self.sampler.replay.add(positions, actions, rewards)
        self.model.train(training)

    def _normalise(self, rewards: NDArray[np.float32]) -> None:
        """Take in the returns of a batch of rewards (B, E, T), and set the units of the values by them."""
        scaled = self.options["reward_multiplier"] * rewards.reshape(len(rewards), -1)
        returns = discounted_returns(scaled, self.options["value_discount"])
        seen = np.array([returns.mean(), (returns**2).mean()])
        # The first batch counts whole, so that the moments are unbiased from the start.
        keep = RETURNS_MEMORY if self.update > 1 else 0.0
        self.moments = keep * self.moments + (1 - keep) * seen
        deviation = float(np.sqrt(max(self.moments[1] - self.moments[0] ** 2, 0.0)))
        self.model.normalise(float(self.moments[0]), max(deviation, 1e-2))

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted parts of the loss: critics, policy, filtered behaviour cloning, entropy."""
        options, model = self.options, self.model
        logits, values, target_values = model(**batch)
        actions = batch["actions"].flatten(1)
        taken = actions.unsqueeze(-1)
        rewards = options["reward_multiplier"] * batch["rewards"].flatten(1)
        logs = torch.log_softmax(logits, dim=-1)
        policy = logs.exp()
        with torch.no_grad():
            expected = (policy * target_values).sum(dim=-1)
            ahead = model.mean + model.scale * expected.min(dim=0).values
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

    def loss(self, batch: Batch) -> Tensor:
        """Sum of the losses of the critics and of the actor; the values' units follow the batch first."""
        if self.options["value_normalisation"]:
            self._normalise(batch["rewards"].cpu().numpy())
        return torch.stack(list(self.terms(batch).values())).sum()

    def state(self) -> dict[str, Any]:
        """The replay buffer and the running moments of the returns."""
        replay = self.sampler.replay
        return {"replay": vars(replay.episodes).copy(), "added": replay.added, "moments": self.moments}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        replay = self.sampler.replay
        replay.episodes = Episodes(**state["replay"])
        replay.added, self.moments = state["added"], state["moments"]

    def policy(self, trial: Trial) -> AMAGOPolicy:
        """The trained actor as a policy."""
        return AMAGOPolicy(self.model, trial)
