"""What tests of methods share: tiny learners, made-up episodes, and how a policy is made to act."""

from __future__ import annotations

import numpy as np
import torch
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.datasets.episodes import Episodes
from bench.datasets.histories import Histories
from bench.methods.base import Observation, Trial, make_learner
from bench.methods.in_context import random_episodes
from bench.worlds.gridworld.world import ACTIONS

ROOMS = 3
NEAR = {"rtol": 1e-4, "atol": 2e-5}


def tiny_learner(task, method, small, **changes):
    """A learner whose weights are far enough from their start for every input to matter.

    Of the options `small` those count that the method has; `changes` must be options of it.
    """
    torch.manual_seed(0)
    options = defaults(CATALOGUE, task, method)
    options |= {name: value for name, value in small.items() if name in options} | changes
    learner = make_learner(method, options)
    with torch.no_grad():
        for parameter in learner.model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    learner.model.eval()
    return learner


def trial(count=ROOMS, seed=0, **how):
    """A trial of so many environments, what it draws being seeded by `seed`."""
    return Trial(count, torch.Generator().manual_seed(seed), **how)


def observation(states, wanted=0.0, alive=True):
    """What a policy is shown; one return, or one flag, for all environments is that of each."""
    count = len(states)
    return Observation(
        states, np.broadcast_to(np.float32(wanted), count).copy(), np.broadcast_to(alive, count).copy()
    )


def begun(policy, states):
    """The policy at the beginning of its first episode in environments whose states are like `states`."""
    policy.begin(Episodes.none(states))
    return policy


def next_batch(learner, generator):
    """The batch of the next update, which is begun; the learner has made all those before."""
    learner.begin_update(learner.update, generator)
    return learner.draw(generator)


def some_episodes(learner, count, rooms=ROOMS):
    """Episodes (rooms, count, ...) of full length with random content."""
    return random_episodes(learner.options, rooms, count, np.random.default_rng(0))


def some_histories():
    """Histories of five tasks with random content."""
    generator = np.random.default_rng(1)
    return Histories(
        generator.integers(5, size=(5, 9, 8, 2)).astype(np.int16),
        generator.integers(ACTIONS, size=(5, 9, 7)).astype(np.int8),
        generator.integers(2, size=(5, 9, 7)).astype(np.float32),
        np.array([[0, 0], [2, 3], [4, 1], [3, 3], [1, 2]]),
        np.array([[4, 4]]),
    )


def part(episodes, which):
    """The episodes of those numbers, in that order, of every row."""
    return episodes.take(np.tile(np.array(which, dtype=np.int64), (len(episodes.actions), 1)))


def decode(module, monkeypatch, learner, past, current, rooms=ROOMS):
    """Logits (rooms, horizon, actions) of the policy while it is made to take the actions of `current`."""
    seen = []

    def forced(logits, space, trial):
        seen.append(logits)
        return current.actions[:, 0, len(seen) - 1]

    monkeypatch.setattr(module, "choose_actions", forced)
    policy = learner.policy(trial(rooms))
    with torch.no_grad():
        policy.begin(past)
        for t in range(learner.options["horizon"]):
            policy.act(observation(current.states[:, 0, t]))
            policy.observe(current.rewards[:, 0, t])
    return torch.stack(seen, dim=1)


def update(learner, done, optimiser, generator, clip=float("inf")):
    """The gradient update after `done` others, the gradient's norm at most `clip`; its loss."""
    learner.begin_update(done, generator)
    loss = learner.loss(learner.draw(generator))
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learner.model.parameters(), clip)
    optimiser.step()
    return loss.item()
