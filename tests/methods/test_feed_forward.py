"""Behaviour cloning, and what all feed-forward methods do alike: states, policies, and what is counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feed_forward_cases import episode, make, some_trajectories
from hypothesis import given
from hypothesis import strategies as st
from method_cases import begun, next_batch, observation, trial, update

from bench.datasets.trajectories import Trajectories, Trajectory
from bench.measure.counting import macs, macs_by_torch, parameters
from bench.methods.base import make_learner
from bench.methods.bc_10 import best_trajectories

FEED_FORWARD = ["bc", "bc-10", "td3", "td3-bc", "iql", "cql"]


# Best trajectories


def test_the_best_trajectories_are_kept_whole_until_the_share_of_transitions_is_reached():
    data = some_trajectories()
    for share, returns in [
        (0.0, [20]), (0.25, [20]), (0.26, [20]), (0.3, [20, 12]), (0.5, [20, 12]), (0.6, [20, 12, 6]),
        (1.0, [20, 12, 6, 5]),
    ]:  # fmt: skip
        assert best_trajectories(data, share, "transitions").returns.tolist() == returns, share


def test_a_share_of_the_trajectories_is_rounded_down_but_one_is_kept():
    data = some_trajectories()
    for share, returns in [
        (0.0, [20]), (0.25, [20]), (0.49, [20]), (0.5, [20, 12]), (0.99, [20, 12, 6]), (1.0, [20, 12, 6, 5]),
    ]:  # fmt: skip
        assert best_trajectories(data, share, "trajectories").returns.tolist() == returns, share


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(-3, 3)), min_size=1, max_size=9),
    st.floats(0.0, 1.0),
)
def test_no_trajectory_that_is_left_out_is_better_and_none_is_kept_needlessly(episodes, share):
    data = Trajectories.from_episodes(
        [episode(length, reward, 100 * number) for number, (length, reward) in enumerate(episodes)]
    )
    kept = best_trajectories(data, share, "transitions")
    wanted = round(share * data.transitions)
    assert kept.transitions >= wanted
    assert len(kept) == 1 or kept.transitions - kept.lengths[-1] < wanted, "the last one was needed"
    left_out = sorted(data.returns, reverse=True)[len(kept) :]
    assert sorted(kept.returns, reverse=True) == sorted(data.returns, reverse=True)[: len(kept)]
    assert min(kept.returns) >= max(left_out, default=-np.inf)


def test_bc_10_learns_from_the_best_trajectories_alone():
    learner = make("bc-10", best_share=0.25)
    best = some_trajectories()[1]
    np.testing.assert_allclose(
        learner.model.normaliser.mean, best.observations.mean(axis=0), rtol=1e-5, atol=1e-6
    )
    batch = next_batch(learner, np.random.default_rng(0))
    assert set(batch["actions"].ravel().tolist()) == set(best.actions.ravel().tolist())
    everything = next_batch(make("bc"), np.random.default_rng(0))
    assert not set(everything["actions"].ravel().tolist()) <= set(best.actions.ravel().tolist())


# Behaviour cloning


def test_cloning_of_a_linear_policy_ends_near_no_loss():
    generator = np.random.default_rng(0)
    states = generator.standard_normal((2001, 2)) * [3.0, 0.1] + [50.0, 0.0]
    actions = np.tanh((states[:-1] - [50.0, 0.0]) @ [[0.2], [-4.0]])
    data = Trajectories.from_episodes([Trajectory.whole(states, actions, np.zeros(2000), True)])
    learner = make("bc", hidden_dim=32, batch_size=64)
    learner.prepare(data)
    optimiser = torch.optim.AdamW(learner.model.parameters(), lr=3e-3, weight_decay=0.0)
    losses = [update(learner, done, optimiser, generator) for done in range(400)]
    assert losses[0] > 0.05
    assert np.mean(losses[-20:]) < 2e-3
    with torch.no_grad():
        policy = begun(learner.policy(trial(5)), data.observations[:5])
        acted = policy.act(observation(data.observations[:5]))
    np.testing.assert_allclose(acted, actions[:5], atol=0.1)


def test_states_are_standardised_only_where_it_is_asked_for():
    raw = make("bc", normalise_states=False).sampler.columns["states"]
    np.testing.assert_array_equal(raw, some_trajectories().observations)
    standard = make("bc").sampler.columns["states"]
    np.testing.assert_allclose(standard.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=0), 1.0, atol=1e-4)


@pytest.mark.parametrize("method", FEED_FORWARD)
def test_policies_normalise_as_in_training_stay_in_bounds_and_ignore_returns(method):
    learner = make(method)
    weights = learner.model.state_dict()
    assert {"normaliser.mean", "normaliser.std"} <= weights.keys(), "a checkpoint keeps the normaliser"
    fresh = make_learner(method, learner.options)
    fresh.model.load_state_dict(weights)
    fresh.restore(learner.state())
    states = np.float32([[1e4, 0], [3, -3]])
    with torch.no_grad():
        wanted = learner.model(states=torch.from_numpy(learner.model.normaliser.of(states))).numpy()
        for returns in (0.0, 1e3):
            acted = begun(fresh.policy(trial(2)), states).act(observation(states, returns))
            np.testing.assert_array_equal(acted, wanted)
    assert np.abs(wanted).max() <= 1.0


# What is counted


@pytest.mark.parametrize("method", [*FEED_FORWARD, "rvs"])
def test_a_forward_pass_is_counted_as_that_of_the_actor(method):
    learner = make(method, hidden_dim=32, hidden_layers=3)
    batch = learner.sampler.synthetic(5, np.random.default_rng(0))
    more = {"cql": 32, "rvs": 32}  # the deviation of the action, the mean reward to go
    wanted = 5 * (2 * 32 + 2 * 32 * 32 + 32 * 1 + more.get(method, 0))
    assert macs(learner.model, batch) == macs_by_torch(learner.model, batch) == wanted
    assert learner.loss(batch).isfinite()
    actor, critic = (inputs * 32 + 32 + 2 * (32 * 32 + 32) + 32 + 1 for inputs in (2, 3))
    others = {
        "td3": 2 * critic,
        "td3-bc": 2 * critic,
        "iql": 2 * critic + 1 + actor,  # a deviation, and the value of a state
        "cql": 2 * critic + 33 + 1,  # the deviation of an action, and the coefficient of entropy
        "rvs": 32,  # the mean reward to go
    }
    assert parameters(learner.model) == actor + others.get(method, 0)


@pytest.mark.parametrize("method", [*FEED_FORWARD, "rvs"])
def test_a_run_that_is_taken_up_again_ends_with_the_same_bytes(method):
    def started():
        learner = make(method)
        return learner, torch.optim.AdamW(learner.model.parameters(), lr=1e-2), np.random.default_rng(0)

    def updated(learner, optimiser, generator, numbers):
        for done in numbers:
            update(learner, done, optimiser, generator)
        return learner, optimiser, generator

    whole = updated(*started(), range(7))[0]
    learner, optimiser, generator = updated(*started(), range(3))
    again, fresh, other = started()
    again.model.load_state_dict(learner.model.state_dict())
    again.restore(learner.state())
    fresh.load_state_dict(optimiser.state_dict())
    other.bit_generator.state = generator.bit_generator.state
    updated(again, fresh, other, range(3, 7))
    states = whole.model.state_dict(), again.model.state_dict(), learner.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])
