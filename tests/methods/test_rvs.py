"""RvS: the mean reward to come that a transition is labelled with, and what a policy is told while acting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feed_forward_cases import Said, episode, make
from hypothesis import given
from hypothesis import strategies as st
from method_cases import begun, next_batch, observation, trial, update

from bench.datasets.trajectories import Trajectories, Trajectory
from bench.methods.rvs import mean_rewards_to_go


def test_the_reward_to_come_is_spread_over_the_steps_left_to_the_horizon():
    data = Trajectories.from_episodes([episode(3, 2.0), episode(2, 5.0)])
    wanted = [6 / 10, 4 / 9, 2 / 8, 10 / 10, 5 / 9]
    np.testing.assert_allclose(mean_rewards_to_go(data, 10), wanted, rtol=1e-6)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(-3, 3)), min_size=1, max_size=6))
def test_an_even_reward_up_to_the_horizon_is_its_own_mean(episodes):
    data = Trajectories.from_episodes([episode(6, float(reward)) for _, reward in episodes])
    wanted = np.repeat([float(reward) for _, reward in episodes], 6)
    np.testing.assert_allclose(mean_rewards_to_go(data, 6), wanted, atol=1e-5)


def test_batches_pair_each_transition_with_what_followed_it():
    learner = make("rvs", normalise_states=False, batch_size=100, max_episode_steps=10)
    batch = next_batch(learner, np.random.default_rng(0))
    assert batch["mean_rewards_to_go"].shape == (100, 1)
    label = dict(zip(batch["states"][:, 0].tolist(), batch["mean_rewards_to_go"][:, 0].tolist(), strict=True))
    # The second episode starts at 10 and earns 5 in each of its four steps.
    assert [label[state] for state in (10, 11, 12, 13)] == pytest.approx([20 / 10, 15 / 9, 10 / 8, 5 / 7])


@pytest.mark.parametrize(
    ("asked_for", "wanted"),
    [("mean", [[3.0, 1.0], [3.0, 1.0], [3.0, 1.0]]), ("left", [[3.0, 1.0], [28 / 9, 0.5], [2.5, -1.0]])],
)
def test_the_policy_is_told_the_mean_asked_for_or_what_is_left_of_it(asked_for, wanted):
    learner = make("rvs", asked_for=asked_for, max_episode_steps=10)
    learner.model.actor = Said(lambda pairs: pairs[:, 2:])
    states, told = np.zeros((2, 2), np.float32), []
    with torch.no_grad():
        policy = begun(learner.policy(trial(2)), states)
        for returns in ([30.0, 10.0], [28.0, 4.5], [20.0, -8.0]):
            seen = observation(states, returns)
            told.append(policy.act(seen)[:, 0])
            seen.wanted[:] = np.nan  # the evaluator goes on writing into its own array
    np.testing.assert_allclose(told, wanted, rtol=1e-6)


def test_a_policy_that_was_told_of_rewards_to_go_acts_by_them():
    generator = np.random.default_rng(0)
    episodes = []
    for number in range(200):
        sign = 1 if number % 2 else -1
        observations = generator.standard_normal((11, 2))
        episodes.append(Trajectory.whole(observations, np.full((10, 1), 0.7 * sign), np.full(10, sign), True))
    data = Trajectories.from_episodes(episodes)
    learner = make("rvs", hidden_dim=32, batch_size=64, max_episode_steps=10)
    learner.prepare(data)
    optimiser = torch.optim.AdamW(learner.model.parameters(), lr=3e-3)
    for done in range(200):
        update(learner, done, optimiser, generator)
    with torch.no_grad():
        policy = begun(learner.policy(trial(2)), data.observations[:2])
        acted = policy.act(observation(data.observations[:2], [10, -10]))
    np.testing.assert_allclose(acted[:, 0], [0.7, -0.7], atol=0.1)
