"""DM-H: Decision Mamba, hybrid (arXiv 2406.00079, Section 4 and Algorithm 1).

Mamba reads the cross-episode context, one token group each c steps, and recalls a sub-goal; a
transformer predicts the next c actions from it. A second branch trains the transformer on the
*valuable* sub-goal of the data: the later state of the episode with the highest reward per step
on the way there, through a frozen linear map.

Tricks, in the order in which they matter here:
1. Every block of the context is trained in each update (`trained_blocks`).
2. Contexts are random episodes in ascending order of return, actions are sampled at test time.
3. `long_token=rich`, `local_tokens=merged`: fewer tokens, and the long-term token tells where in
   the block the reward was; the literal reading of the paper is the default.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.datasets.histories import Histories
from bench.methods import base
from bench.methods.dmh_model import DMHModel
from bench.methods.in_context import (
    Episodes,
    draw_contexts,
    one_hot_position,
    random_episodes,
    sample_actions,
)


def valuable_states(
    positions: NDArray[Any], rewards: NDArray[Any], starts: NDArray[np.int64], reach: int
) -> NDArray[np.int64]:
    """The valuable sub-goal of the step each block starts with.

    v(s_j | s_t) = (sum of the rewards of steps t ... j - 1) / (j - t), over t < j <= t + reach; of
    equal values the latest counts, so that a stretch without reward points as far as it goes.

    Args:
        positions: (N, T + 1, 2) of N episodes.
        rewards: (N, T).
        starts: (n,) first step of each block.
        reach: how many steps ahead a candidate may lie.

    Returns:
        (N, n, 2).
    """
    horizon = rewards.shape[1]
    earned = np.concatenate([np.zeros((len(rewards), 1)), rewards.cumsum(axis=1, dtype=np.float64)], axis=1)
    chosen = np.empty((len(rewards), len(starts), 2), dtype=np.int64)
    rows = np.arange(len(rewards))
    for number, start in enumerate(starts):
        ahead = np.arange(start + 1, min(start + reach, horizon) + 1)
        value = (earned[:, ahead] - earned[:, [start]]) / (ahead - start)
        latest = len(ahead) - 1 - value[:, ::-1].argmax(axis=1)
        chosen[:, number] = positions[rows, ahead[latest]]
    return chosen


class Blocks:
    """An episode cut into blocks of c steps; the last one is padded where c does not divide the horizon."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.steps, self.horizon = options["steps_per_subgoal"], options["horizon"]
        self.side = options["room_side"]
        self.count = -(-self.horizon // self.steps)
        self.starts = np.arange(self.count) * self.steps

    def pad(self, values: NDArray[Any]) -> NDArray[Any]:
        """(..., T, ...) along axis 2 to (..., n, c, ...); padding repeats the last step."""
        index = np.minimum(np.arange(self.count * self.steps), self.horizon - 1)
        taken = values[:, :, index]
        return taken.reshape(*taken.shape[:2], self.count, self.steps, *taken.shape[3:])

    def triples(self, episodes: Episodes) -> dict[str, Tensor]:
        """The long-term sequence of contexts (B, E, ...): n + 1 triples an episode, the last one its end."""
        positions, rewards = (
            np.asarray(episodes.positions, np.int64),
            np.asarray(episodes.rewards, np.float32),
        )
        batch, count = rewards.shape[:2]
        inside = (np.arange(self.count * self.steps) < self.horizon).reshape(self.count, self.steps)
        block_rewards = self.pad(rewards) * inside
        sums = np.concatenate([np.zeros((batch, count, 1), np.float32), block_rewards.sum(axis=3)], axis=2)
        at = np.minimum(np.arange(self.count + 1) * self.steps, self.horizon)
        completed = np.broadcast_to(np.arange(self.count + 1) == self.count, (batch, count, self.count + 1))
        reached = torch.from_numpy(self.pad(positions[:, :, 1:]))
        passed = block_features(reached, torch.from_numpy(block_rewards), self.side)
        passed = torch.cat([torch.zeros_like(passed[:, :, :1]), passed], dim=2)
        return {
            "triple_states": torch.from_numpy(positions[:, :, at]).flatten(1, 2),
            "triple_sums": torch.from_numpy(sums).flatten(1, 2),
            "triple_completed": torch.from_numpy(completed.copy()).flatten(1, 2),
            "triple_blocks": passed.flatten(1, 2),
        }


def block_features(states: Tensor, rewards: Tensor, side: int) -> Tensor:
    """States (..., c, 2) reached in a block and its rewards (..., c), as (..., c * (2 side + 1))."""
    return torch.cat([one_hot_position(states, side), rewards.unsqueeze(-1)], dim=-1).flatten(-2)


class Learner(base.Learner):
    """DM-H, with or without valuable sub-goals."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.model: DMHModel = DMHModel(options)
        self.blocks = Blocks(options)

    def prepare(self, dataset: Histories) -> None:
        """Nothing to take from the histories."""

    def batch(self, dataset: Histories, generator: np.random.Generator) -> base.Batch:
        """Contexts of `batch_size` random training tasks."""
        drawn = draw_contexts(dataset, self.options, self.options["batch_size"], generator)
        return self._batch(drawn, generator)

    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> base.Batch:
        """Full contexts with random content."""
        episodes = random_episodes(self.options, sequences, self.options["context_episodes"], generator)
        return self._batch(episodes, generator)

    def _batch(self, episodes: Episodes, generator: np.random.Generator) -> base.Batch:
        blocks, options = self.blocks, self.options
        batch, count, horizon = np.asarray(episodes.actions).shape
        total = batch * count * blocks.count
        share = max(1, round(options["trained_blocks"] * total))
        trained = np.arange(total) if share == total else np.sort(generator.permutation(total)[:share])
        # Sub-goal i of an episode comes from triple i; the triple of the episode's end starts no block.
        episode, block = trained // blocks.count, trained % blocks.count

        def steps(values: NDArray[Any], kind: Any) -> Tensor:
            flat = blocks.pad(np.asarray(values, kind)).reshape(
                total, blocks.steps, *np.asarray(values).shape[3:]
            )
            return torch.from_numpy(flat[trained])

        goals = np.zeros((0, 2), np.int64)
        if options["valuable_subgoals"]:
            reach = horizon if options["goal_range"] == "episode" else blocks.steps
            positions = np.asarray(episodes.positions).reshape(-1, horizon + 1, 2)
            found = valuable_states(
                positions, np.asarray(episodes.rewards).reshape(-1, horizon), blocks.starts, reach
            )
            goals = found.reshape(-1, 2)[trained]
        noise = generator.standard_normal((share, options["embedding_dim"]), dtype=np.float32)
        return blocks.triples(episodes) | {
            "trained": torch.from_numpy(episode * (blocks.count + 1) + block),
            "noise": torch.from_numpy(noise),
            "states": steps(np.asarray(episodes.positions)[:, :, :-1], np.int64),
            "actions": steps(episodes.actions, np.int64),
            "rewards": steps(episodes.rewards, np.float32),
            "valuable_states": torch.from_numpy(goals),
        }

    def loss(self, batch: base.Batch) -> Tensor:
        """Mean cross-entropy over both branches and all steps but the padded ones (equal weights)."""
        logits = self.model(**batch)
        block = batch["trained"] % (self.blocks.count + 1)
        step = block.unsqueeze(1) * self.blocks.steps + torch.arange(self.blocks.steps, device=block.device)
        targets = batch["actions"].masked_fill(step >= self.blocks.horizon, -100)
        branches = len(logits) // len(targets)
        return nn.functional.cross_entropy(logits.flatten(0, 1), targets.repeat(branches, 1).flatten())

    def policy(self, rooms: int) -> DMHPolicy:
        """The trained model as a policy for `rooms` rooms at once."""
        return DMHPolicy(self.model, self.blocks, self.options, rooms)


class DMHPolicy:
    """Acts in a batch of rooms: a sub-goal each c steps from Mamba's state, actions from the transformer."""

    before: tuple[Tensor, Tensor] | None  # the action and reward of the step before, none at a block's start
    cache: tuple[list[Any], int]

    def __init__(self, model: DMHModel, blocks: Blocks, options: dict[str, Any], rooms: int) -> None:
        self.model, self.blocks, self.options, self.rooms = model.eval(), blocks, options, rooms

    def begin(self, past: Episodes) -> None:
        """Start an episode: Mamba reads the last `context_episodes` - 1 earlier ones."""
        keep = self.options["context_episodes"] - 1
        count = past.actions.shape[1]
        latest = np.tile(np.arange(max(count - keep, 0), count), (self.rooms, 1))
        triples = self.options["context_episodes"] * (self.blocks.count + 1) * 3
        self.long_state = self.model.long_term.backbone.allocate_state(self.rooms, triples)
        self.time = 0
        self.passed: list[tuple[Tensor, Tensor]] = []
        if latest.shape[1]:
            context = past.take(latest).ordered(self.options["context_order"])
            sequence = self.blocks.triples(context)
            tokens = self.model.long_term.tokens(*sequence.values()).flatten(1, 2)
            for index in range(tokens.shape[1]):
                _, self.long_state = self.model.long_term.backbone.step(tokens[:, index], self.long_state)

    def act(
        self, positions: NDArray[np.int64], temperature: float, generator: torch.Generator
    ) -> NDArray[np.int64]:
        """(rooms,) actions for (rooms, 2) coordinates."""
        states = torch.from_numpy(positions)
        if self.passed:
            # The state an action led to is known only now.
            self.passed[-1] = (states, self.passed[-1][1])
        if self.time % self.blocks.steps == 0:
            self._recall(states, generator)
        logits, self.cache = self.model.local.step(self.goal, states, self.before, self.cache)
        self.chosen = sample_actions(logits, temperature, generator)
        return self.chosen

    def _recall(self, states: Tensor, generator: torch.Generator) -> None:
        """Feed Mamba the triple of this moment and draw the sub-goal of the coming c steps."""
        steps = self.blocks.steps
        if self.passed:
            reached = torch.stack([state for state, _ in self.passed], dim=1)
            rewards = torch.stack([reward for _, reward in self.passed], dim=1)
        else:
            reached, rewards = (
                torch.zeros(self.rooms, steps, 2, dtype=torch.long),
                torch.zeros(self.rooms, steps),
            )
        block = block_features(reached, rewards, self.blocks.side) * float(bool(self.passed))
        completed = torch.zeros(self.rooms, dtype=torch.bool)
        tokens = self.model.long_term.tokens(states, rewards.sum(dim=1), completed, block)
        for index in range(tokens.shape[1]):
            hidden, self.long_state = self.model.long_term.backbone.step(tokens[:, index], self.long_state)
        noise = torch.randn(hidden.shape, generator=generator)
        self.goal = self.model.long_term.sub_goal(hidden, noise)
        self.cache, self.before, self.passed = self.model.local.begin(self.rooms), None, []

    def observe(self, rewards: NDArray[np.float32]) -> None:
        """Take in the (rooms,) rewards of the actions just chosen."""
        reward = torch.from_numpy(rewards)
        self.before = torch.from_numpy(self.chosen), reward
        self.passed.append((torch.empty(0), reward))
        self.time += 1
