"""IQL: the expectile, targets, weights on cloning, the scale of rewards, and whom each loss reaches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feed_forward_cases import Said, make, some_trajectories
from hypothesis import given, settings
from hypothesis import strategies as st
from method_cases import next_batch
from torch import nn

from bench.datasets.trajectories import Trajectories
from bench.errors import DatasetError


def said(advantages):
    """A learner whose target critics say 5 and 3 and whose values of the states leave `advantages`."""
    learner = make("iql")
    model = learner.model
    model.target_critics = nn.ModuleList(
        [Said(lambda pairs: 0 * pairs[:, :1] + 5), Said(lambda pairs: 0 * pairs[:, :1] + 3)]
    )
    values = 3 - torch.tensor(advantages)
    model.value = Said(lambda states: values[states[:, :1].long()])
    count = len(advantages)
    states = torch.stack([torch.arange(count).float(), torch.zeros(count)], dim=1)
    return learner, {"states": states, "actions": torch.zeros(count, 1)}


def test_an_advantage_is_the_smaller_target_critics_value_less_that_of_the_state():
    learner, batch = said([2.0, -1.0, 0.5])
    torch.testing.assert_close(learner.advantages(batch), torch.tensor([2.0, -1.0, 0.5]))


def test_the_value_loss_weighs_the_sides_of_the_expectile():
    learner, batch = said([2.0, -1.0])
    wanted = (0.7 * 2.0**2 + 0.3 * 1.0**2) / 2
    assert learner.further_loss(batch).item() == pytest.approx(wanted, rel=1e-5)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=8), st.floats(0.5, 1.0))
@settings(max_examples=25, deadline=None)
def test_the_value_rests_where_the_weighted_distances_to_both_sides_are_equal(advantages, expectile):
    learner, batch = said(advantages)
    learner.options["expectile"] = expectile
    shift = torch.zeros(1, requires_grad=True)
    known = learner.model.value
    learner.model.value = Said(lambda states: known(states) + shift)
    learner.further_loss(batch).backward()
    above = sum(max(advantage, 0) for advantage in advantages)
    below = sum(max(-advantage, 0) for advantage in advantages)
    wanted = -2 * (expectile * above - (1 - expectile) * below) / len(advantages)
    assert shift.grad.item() == pytest.approx(wanted, rel=1e-4, abs=1e-5)


def test_the_actor_clones_with_weights_that_grow_with_the_advantage_up_to_a_ceiling():
    learner, batch = said([0.5, -1.0, 2.0])
    learner.options |= {"advantage_temperature": 3.0, "weight_ceiling": 100.0}
    learner.model.actor = Said(lambda states: states[:, :1] / 4)
    with torch.no_grad():
        learner.model.log_deviation.fill_(np.log(0.5))
    weights = [np.exp(1.5), np.exp(-3.0), 100.0]  # exp(6) is above the ceiling
    densities = [
        -0.5 * (mean / 0.5) ** 2 - np.log(0.5) - 0.5 * np.log(2 * np.pi) for mean in (0.0, 0.25, 0.5)
    ]
    wanted = -np.dot(weights, densities) / 3
    assert learner.actor_loss(batch).item() == pytest.approx(wanted, rel=1e-5)


def test_targets_hold_the_value_of_the_state_that_follows_and_nothing_after_a_termination():
    learner = make("iql", value_discount=0.5)
    learner.model.value = Said(lambda states: 10 * states[:, :1])
    batch = {
        "next_states": torch.tensor([[1.0, 0.0], [2.0, 0.0]]),
        "rewards": torch.tensor([1.0, 2.0]),
        "terminations": torch.tensor([0.0, 1.0]),
    }
    torch.testing.assert_close(learner.targets(batch), torch.tensor([1 + 0.5 * 10, 2.0]))


def test_each_loss_reaches_its_own_networks_alone_and_the_joint_loss_is_their_sum():
    learner = make("iql")
    batch, model = next_batch(learner, np.random.default_rng(0)), learner.model

    def gradients(loss):
        model.zero_grad(set_to_none=True)
        loss.backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    parts = [
        (learner.critic_loss(batch), {"critics"}),
        (learner.further_loss(batch), {"value"}),
        (learner.actor_loss(batch), {"actor", "log_deviation"}),
    ]
    alone = {}
    for loss, networks in parts:
        found = gradients(loss)
        assert {name.split(".")[0] for name, gradient in found.items() if gradient.any()} == networks
        alone |= found
    joint = gradients(learner.loss(batch))
    assert joint.keys() == alone.keys()
    for name, gradient in joint.items():
        torch.testing.assert_close(gradient, alone[name], rtol=0, atol=0)


def test_rewards_are_scaled_by_the_range_of_returns():
    # Returns are 6, 20, 5 and 12: a range of 15 becomes 1,000.
    data = some_trajectories()
    scaled = make("iql").sampler.columns["rewards"]
    np.testing.assert_allclose(scaled, data.rewards * 1000 / 15, rtol=1e-6)
    np.testing.assert_array_equal(
        make("iql", normalise_rewards=False).sampler.columns["rewards"], data.rewards
    )


def test_returns_that_are_all_alike_cannot_scale_rewards():
    one = Trajectories.from_episodes([some_trajectories()[0]])
    learner = make("iql")
    message = (
        r"The 1 trajectories of this dataset all have the return 6.*normalise_rewards.*iql\.yaml\) to false"
    )
    with pytest.raises(DatasetError, match=message):
        learner.prepare(one)
    make("iql", normalise_rewards=False).prepare(one)
