"""Online tests: what a policy is told, episodes of unequal length, and what is averaged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.evaluators.in_context import evaluate, play
from bench.methods.base import Trial, make_learner
from bench.worlds.gridworld import test as rooms
from bench.worlds.gridworld.test import spread_goals
from bench.worlds.mujoco.test import make_world


class Countdown:
    """Environments whose episodes last 1, 2, ... steps; states are (environment, step), each step pays 1."""

    def __init__(self, count):
        self.count = count

    def reset(self):
        self.time = 0
        return self.states()

    def states(self):
        return np.stack([np.arange(self.count), np.full(self.count, self.time)], axis=1).astype(np.float32)

    def step(self, actions):
        alive = self.time < 1 + np.arange(self.count)
        self.time += 1
        return self.states(), alive.astype(np.float64), self.time >= 1 + np.arange(self.count)


class Recorder:
    """A policy that remembers what it is told."""

    def __init__(self, count):
        self.count, self.pasts, self.alive, self.rewards = count, [], [], []

    def begin(self, past):
        self.pasts.append(past)

    def act(self, seen):
        self.alive.append(seen.alive)
        return np.zeros(self.count, np.int64)

    def observe(self, rewards):
        self.rewards.append(rewards)


def test_a_policy_is_told_all_earlier_episodes_at_their_own_lengths():
    policy = Recorder(3)
    played = play(Countdown(3), policy, 3)
    assert played.returns.tolist() == [[1, 1, 1], [2, 2, 2], [3, 3, 3]]
    assert [past.lengths.shape[1] for past in policy.pasts] == [0, 1, 2]
    last = policy.pasts[-1]
    assert last.lengths.tolist() == [[1, 1], [2, 2], [3, 3]]
    assert last.returns.tolist() == [[1, 1], [2, 2], [3, 3]]
    assert last.states[1, 0, :3].tolist() == [[1, 0], [1, 1], [1, 2]]
    assert len(policy.rewards) == 9, "every step of the longest episode is observed"
    on = [[True, True, True], [False, True, True], [False, False, True]]
    assert [alive.tolist() for alive in policy.alive] == 3 * on, "which episodes are on"


def test_goals_are_spread_evenly():
    goals = np.arange(6).reshape(3, 2)
    assert spread_goals(goals, 7)[:, 0].tolist() == [0, 2, 4, 0, 2, 4, 0]


@pytest.mark.parametrize(("tested", "expected"), [("unseen", 4.0), ("training", 0.0)])
def test_settings_can_be_chosen_on_the_goals_that_were_trained_on(tested, expected):
    class Stay(Recorder):
        def act(self, seen):
            return np.full(self.count, 4)

    class Learner:
        def policy(self, trial):
            return Stay(trial.count)

    options = defaults(CATALOGUE, "darkroom", "ad-mamba") | {
        "room_side": 3, "horizon": 4, "evaluation_environments": 6, "episodes": 2, "tested_tasks": tested,
    }  # fmt: skip
    facts = {"test_tasks": [[1, 1]], "train_tasks": [[0, 0], [2, 2]]}  # the first lies where episodes begin
    rows = evaluate(Learner(), rooms, options, "darkroom", 0, facts)
    assert rows == [
        ("episode_return", 1.0, expected),
        ("episode_return", 2.0, expected),
        ("last_return", 0.0, expected),
        # All four steps pay where it stands on the goal.
        ("optimum_share", 1.0, expected / 4),
        ("optimum_share", 2.0, expected / 4),
        ("first_optimum_share", 0.0, expected / 4),
        ("late_optimum_share", 0.0, expected / 4),
        ("in_context_gain", 0.0, 0.0),
    ]


@pytest.mark.parametrize("method", ["ad-mamba", "ad-transformer", "dmh"])
def test_robots_are_driven_through_episodes_of_unequal_length(method):
    torch.manual_seed(0)
    options = defaults(CATALOGUE, "hopper-medium", method) | {
        "embedding_dim": 16, "context_episodes": 2, "steps_per_subgoal": 5, "heads": 2,
        "evaluation_episodes": 3,
    }  # fmt: skip
    learner = make_learner(method, options)
    returns = []
    for _ in range(2):
        world = make_world(options, "hopper-medium", 0, {})
        trial = Trial(world.count, torch.Generator().manual_seed(0))
        returns.append(play(world, learner.policy(trial), 3).returns)
        world.close()
    np.testing.assert_array_equal(returns[0], returns[1])
    assert returns[0].shape == (3, 3)
    assert (returns[0] > 0).all()
