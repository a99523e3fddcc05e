"""Behaviour cloning, and what all feed-forward methods do alike: states, policies, and what is counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feed_forward_cases import episode, make, some_trajectories
from hypothesis import given
from hypothesis import strategies as st
from method_cases import update

from bench.datasets.trajectories import Trajectories, Trajectory
from bench.measure.counting import macs, macs_by_torch, parameters
from bench.methods.base import make_learner
from bench.methods.bc_10 import best_trajectories

FEED_FORWARD = ["bc", "bc-10", "td3", "td3-bc", "iql", "cql"]


# Best trajectories


def test_the_best_trajectories_are_kept_whole_until_the_share_is_reached():
    data = some_trajectories()
    for share, returns in [
        (0.0, [20]), (0.25, [20]), (0.26, [20]), (0.3, [20, 12]), (0.5, [20, 12]), (0.6, [20, 12, 6]),
        (1.0, [20, 12, 6, 5]),
    ]:  # fmt: skip
        assert best_trajectories(data, share).returns.tolist() == returns, share


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(-3, 3)), min_size=1, max_size=9),
    st.floats(0.0, 1.0),
)
def test_no_trajectory_that_is_left_out_is_better_and_none_is_kept_needlessly(episodes, share):
    data = Trajectories.from_episodes(
        [episode(length, reward, 100 * number) for number, (length, reward) in enumerate(episodes)]
    )
    kept = best_trajectories(data, share)
    wanted = round(share * data.transitions)
    assert kept.transitions >= wanted
    assert len(kept) == 1 or kept.transitions - kept.lengths[-1] < wanted, "the last one was needed"
    left_out = sorted(data.returns, reverse=True)[len(kept) :]
    assert sorted(kept.returns, reverse=True) == sorted(data.returns, reverse=True)[: len(kept)]
    assert min(kept.returns) >= max(left_out, default=-np.inf)


def test_bc_10_learns_from_the_best_trajectories_alone():
    learner = make("bc-10", best_share=0.25)
    best = some_trajectories()[1]
    np.testing.assert_allclose(learner.mean, best.observations.mean(axis=0), rtol=1e-5, atol=1e-6)
    batch = learner.batch(some_trajectories(), np.random.default_rng(0))
    assert set(batch["actions"].ravel().tolist()) == set(best.actions.ravel().tolist())
    everything = make("bc").batch(some_trajectories(), np.random.default_rng(0))
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
    losses = [update(learner, data, optimiser, generator) for _ in range(400)]
    assert losses[0] > 0.05
    assert np.mean(losses[-20:]) < 2e-3
    with torch.no_grad():
        acted = learner.policy(5).act(data.observations[:5], np.zeros(5, np.float32), np.ones(5, bool))
    np.testing.assert_allclose(acted, actions[:5], atol=0.1)


def test_states_are_standardised_only_where_it_is_asked_for():
    raw = make("bc", normalise_states=False).columns["states"]
    np.testing.assert_array_equal(raw, some_trajectories().observations)
    standard = make("bc").columns["states"]
    np.testing.assert_allclose(standard.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=0), 1.0, atol=1e-4)


@pytest.mark.parametrize("method", FEED_FORWARD)
def test_policies_normalise_as_in_training_stay_in_bounds_and_ignore_returns(method):
    learner = make(method)
    state = learner.state()
    fresh = make_learner(method, learner.options)
    fresh.model.load_state_dict(learner.model.state_dict())
    fresh.restore(state)
    states = np.float32([[1e4, 0], [3, -3]])
    with torch.no_grad():
        wanted = learner.model(states=torch.from_numpy(learner.normalise(states))).numpy()
        for returns in (0.0, 1e3):
            acted = fresh.policy(2).act(states, np.full(2, returns, np.float32), np.ones(2, bool))
            np.testing.assert_array_equal(acted, wanted)
    assert np.abs(wanted).max() <= 1.0


# What is counted


@pytest.mark.parametrize("method", [*FEED_FORWARD, "rvs"])
def test_a_forward_pass_is_counted_as_that_of_the_actor(method):
    learner = make(method, hidden_dim=32, hidden_layers=3)
    batch = learner.synthetic_batch(5, np.random.default_rng(0))
    more = {"cql": 32, "rvs": 32}  # the deviation of the action, the outcome
    wanted = 5 * (2 * 32 + 2 * 32 * 32 + 32 * 1 + more.get(method, 0))
    assert macs(learner.model, batch) == macs_by_torch(learner.model, batch) == wanted
    assert learner.loss(batch).isfinite()
    actor, critic = (inputs * 32 + 32 + 2 * (32 * 32 + 32) + 32 + 1 for inputs in (2, 3))
    others = {
        "td3": 2 * critic,
        "td3-bc": 2 * critic,
        "iql": 2 * critic + 1 + actor,  # a deviation, and the value of a state
        "cql": 2 * critic + 33 + 1,  # the deviation of an action, and the coefficient of entropy
        "rvs": 32,  # the outcome
    }
    assert parameters(learner.model) == actor + others.get(method, 0)


@pytest.mark.parametrize("method", [*FEED_FORWARD, "rvs"])
def test_a_run_that_is_taken_up_again_ends_with_the_same_bytes(method):
    def begun():
        learner = make(method)
        return learner, torch.optim.AdamW(learner.model.parameters(), lr=1e-2), np.random.default_rng(0)

    def updated(learner, optimiser, generator, count):
        for _ in range(count):
            update(learner, some_trajectories(), optimiser, generator)
        return learner, optimiser, generator

    whole = updated(*begun(), 7)[0]
    learner, optimiser, generator = updated(*begun(), 3)
    again, fresh, other = begun()
    again.model.load_state_dict(learner.model.state_dict())
    again.restore(learner.state())
    fresh.load_state_dict(optimiser.state_dict())
    other.bit_generator.state = generator.bit_generator.state
    updated(again, fresh, other, 4)
    states = whole.model.state_dict(), again.model.state_dict(), learner.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])
