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

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.catalogue.option_types import Options
from bench.datasets.arrays import Actions, States
from bench.datasets.episodes import Episodes, tensor
from bench.methods import base
from bench.methods.base import Batch, Floats, Observation, OnlineWork, Timed, Trial
from bench.methods.dmh_blocks import Blocks, valuable_states
from bench.methods.dmh_model import DMHModel
from bench.methods.in_context import Contexts, choose_actions, random_past, read_past
from bench.nn.state import Memory


def blocks_batch(options: Options, episodes: Episodes, generator: np.random.Generator) -> Batch:
    """The triples of contexts, and the steps of the blocks trained in this update."""
    blocks = Blocks(episodes, options["steps_per_subgoal"])
    triples, valid, place = blocks.triples()
    # Sub-goal k of an episode comes from triple k; the triple of the episode's end starts no block.
    real = np.flatnonzero(np.arange(blocks.count) < blocks.of_episode[..., None])
    share = max(1, round(options["trained_blocks"] * len(real)))
    if share < len(real):
        real = np.sort(generator.permutation(real)[:share])
    row, episode, block = np.unravel_index(real, (*blocks.of_episode.shape, blocks.count))
    goals = np.zeros((0, 2), np.int64)
    if options["valuable_subgoals"]:
        goals = _valuable(options, episodes, blocks.starts)[row, episode, block]
    noise = generator.standard_normal((share, options["embedding_dim"]), dtype=np.float32)
    taken = (row, episode, block)
    return triples | {
        "trained": torch.from_numpy(row * valid.shape[1] + place[taken]),
        "noise": torch.from_numpy(noise),
        "states": tensor(blocks.cut(episodes.states[:, :, :-1])[taken]),
        "actions": tensor(blocks.cut(episodes.actions)[taken]),
        "rewards": tensor(blocks.cut(episodes.rewards)[taken]),
        "inside": torch.from_numpy(blocks.inside[taken]),
        "valuable_states": tensor(goals),
    }


def _valuable(options: Options, episodes: Episodes, starts: NDArray[np.int64]) -> States:
    """(B, E, n, ...) the valuable sub-goal of each block."""
    batch, count, horizon = episodes.rewards.shape
    reach = horizon if options["goal_range"] == "episode" else options["steps_per_subgoal"]
    states = episodes.states.reshape(batch * count, *episodes.states.shape[2:])
    rewards, lengths = episodes.rewards.reshape(-1, horizon), episodes.lengths.ravel()
    found = valuable_states(states, rewards, lengths, starts, reach)
    return found.reshape(batch, count, *found.shape[1:])


class Learner(base.Learner):
    """DM-H, with or without valuable sub-goals."""

    model: DMHModel

    def __init__(self, options: Options) -> None:
        model = DMHModel(options)
        super().__init__(options, model, Contexts(options, model.normaliser, partial(blocks_batch, options)))

    def loss(self, batch: Batch) -> Tensor:
        """Distance to the actions, over both branches (equal weights) and all real steps."""
        predicted, targets = self.model(**batch), batch["actions"][batch["inside"]]
        branches = len(predicted) // len(targets)
        return self.model.long_term.space.loss(predicted, torch.cat([targets] * branches))

    def policy(self, trial: Trial) -> DMHPolicy:
        """The trained model as a policy."""
        return DMHPolicy(self.model, trial)

    def timed(self, generator: np.random.Generator) -> Timed:
        """A pass over a whole context, and an online test."""
        return Timed(self.model, self.whole_pass(generator), self._online_work)

    def _online_work(self, fill: int, cached: bool, generator: np.random.Generator) -> OnlineWork:
        """One block of c decisions from Mamba's state; nothing of the long context is ever read again."""
        policy = self.policy(Trial(1, torch.Generator().manual_seed(0), temperature=1.0))
        horizon, steps = self.model.long_term.space.horizon, self.options["steps_per_subgoal"]
        past = random_past(self.options, fill, generator)
        states = random_past(self.options, horizon, generator).states[:, 0]

        def block() -> None:
            policy.time = 0
            for step in range(steps):
                policy.act(Observation(states[:, step % horizon], np.zeros(1, np.float32), np.ones(1, bool)))
                policy.observe(np.zeros(1, np.float32))

        policy.begin(past)
        block()
        return OnlineWork(lambda: policy.begin(past), block, steps)


class DMHPolicy:
    """Acts in many environments: a sub-goal each c steps from Mamba's state, actions from the transformer."""

    last: tuple[Tensor, Tensor] | None  # the action and reward of the last step, none at a block's start
    cache: tuple[Memory, int]

    def __init__(self, model: DMHModel, trial: Trial) -> None:
        self.model, self.trial = model.eval(), trial
        self.steps, self.device = model.options["steps_per_subgoal"], next(model.parameters()).device

    def begin(self, past: Episodes) -> None:
        """Begin an episode: Mamba reads the context of the earlier ones."""
        long, context = self.model.long_term, read_past(past, self.model.options, self.model.normaliser)
        self.time = 0
        self.passed: list[tuple[Tensor, Tensor]] = []
        if not context.lengths.shape[1]:
            self.long_state = long.backbone.allocate_state(self.trial.count, 0)
            return
        sequence, valid, _ = Blocks(context, self.steps).triples(right=True)
        mask = None if bool(valid.all()) else valid.repeat_interleave(long.per_triple, dim=1).to(self.device)
        tokens = long.tokens(*(values.to(self.device) for values in sequence.values())).flatten(1, 2)
        _, self.long_state = long.backbone.prefill(tokens, mask)

    def act(self, seen: Observation) -> Actions:
        """Actions (count,) or (count, A)."""
        states = self.model.normaliser(torch.from_numpy(seen.states).to(self.device))
        if self.passed:
            # The state an action led to is known only now.
            self.passed[-1] = (states, self.passed[-1][1])
        if self.time % self.steps == 0:
            self._recall(states)
        predicted, self.cache = self.model.local.step(self.goal, states, self.last, self.cache)
        self.chosen = choose_actions(predicted, self.model.long_term.space, self.trial)
        return self.chosen

    def _recall(self, states: Tensor) -> None:
        """Feed Mamba the triple of this moment and draw the sub-goal of the coming c steps."""
        long = self.model.long_term
        if self.passed:
            reached = torch.stack([state for state, _ in self.passed], dim=1)
            rewards = torch.stack([reward for _, reward in self.passed], dim=1)
        else:
            reached = states.unsqueeze(1).expand(-1, self.steps, -1)
            rewards = torch.full((self.trial.count, self.steps), torch.nan, device=self.device)
        completed = torch.zeros(self.trial.count, dtype=torch.bool, device=self.device)
        tokens = long.tokens(states, rewards.nan_to_num(0.0).sum(dim=1), completed, reached, rewards)
        for index in range(tokens.shape[1]):
            hidden, self.long_state = long.backbone.step(tokens[:, index], self.long_state)
        # Drawn where the generator is, so that every device draws alike.
        generator = self.trial.generator
        noise = torch.randn(hidden.shape, generator=generator, device=generator.device)
        self.goal = long.sub_goal(hidden, noise.to(self.device))
        self.cache, self.last, self.passed = self.model.local.begin(self.trial.count), None, []

    def observe(self, rewards: Floats) -> None:
        """Take in the rewards (count,) of the actions just chosen."""
        reward = torch.from_numpy(rewards).to(self.device)
        self.last = torch.from_numpy(self.chosen).to(self.device), reward
        self.passed.append((reward.new_empty(0), reward))
        self.time += 1
