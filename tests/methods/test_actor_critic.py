"""TD3 and TD3+BC: what their critics are taught, whom each loss reaches, and when."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feed_forward_cases import Said, make, some_trajectories
from hypothesis import given
from hypothesis import strategies as st
from method_cases import next_batch, update
from torch import nn

from bench.methods.transitions import next_observations

NEAR = {"rtol": 1e-5, "atol": 1e-6}


def copy_of(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def same(first, second):
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


# TD3's critics


def test_next_observations_are_the_next_rows_and_final_observations_at_the_ends():
    data = some_trajectories()
    for index, trajectory in enumerate(data):
        rows = slice(data.starts[index], data.starts[index + 1])
        wanted = [*trajectory.observations[1:], trajectory.final_observation]
        np.testing.assert_array_equal(next_observations(data)[rows], wanted)


def test_batches_pair_each_transition_with_its_own_next_state_and_end():
    learner = make("td3", normalise_states=False, batch_size=200)
    batch = next_batch(learner, np.random.default_rng(0))
    torch.testing.assert_close(
        batch["next_states"] - batch["states"], torch.tensor([1.0, -1.0]).expand(200, 2)
    )
    ends = {
        state
        for state, over in zip(batch["states"][:, 0].tolist(), batch["terminations"], strict=True)
        if over
    }
    assert ends == {2.0, 13.0, 24.0}, "the episode that was cut at 33 did not terminate"
    assert {33.0, 30.0} <= set(batch["states"][:, 0].tolist())
    rewards = dict(zip(batch["states"][:, 0].tolist(), batch["rewards"].tolist(), strict=True))
    assert (rewards[0.0], rewards[10.0], rewards[24.0]) == (2.0, 5.0, 1.0), "rewards are not scaled"


def test_targets_of_a_hand_made_batch():
    learner = make("td3", value_discount=0.5)
    # The target actor says 0.9, 0.9, 0.9 and -0.5; critics see (state, state, action).
    learner.model.target_actor = Said(lambda states: states[:, :1])
    learner.model.target_critics = nn.ModuleList(
        [Said(lambda pairs: 10 * pairs[:, 2:]), Said(lambda pairs: pairs[:, 1:2])]
    )
    batch = {
        "next_states": torch.tensor([[0.9, 100.0], [0.9, 4.0], [0.9, 100.0], [-0.5, 100.0]]),
        "noise": torch.tensor([[0.5], [0.0], [0.0], [0.25]]),
        "rewards": torch.tensor([1.0, 2.0, 3.0, 4.0]),
        "terminations": torch.tensor([0.0, 0.0, 1.0, 0.0]),
    }
    wanted = [
        1 + 0.5 * 10,  # 0.9 + 0.5 is cut at the bound of actions
        2 + 0.5 * 4,  # the second critic is the smaller
        3,  # nothing comes after a termination
        4 + 0.5 * 10 * -0.25,
    ]
    torch.testing.assert_close(learner.targets(batch), torch.tensor(wanted))
    # Both critics, not the smaller alone, are drawn to the targets.
    learner.model.critics = nn.ModuleList(
        [Said(lambda pairs: 0 * pairs[:, :1]), Said(lambda pairs: pairs[:, :1])]
    )
    known = batch | {"states": torch.tensor([[1.0, 0.0]]).expand(4, 2), "actions": torch.zeros(4, 1)}
    errors = [np.square(wanted).mean(), np.square(np.array(wanted) - 1).mean()]
    assert learner.critic_loss(known).item() == pytest.approx(sum(errors), rel=1e-5)


@pytest.mark.parametrize("method", ["td3", "td3-bc"])
def test_noise_has_its_deviation_and_is_cut(method):
    learner = make(method, policy_noise=0.2, noise_clip=0.5, batch_size=20_000)
    noise = next_batch(learner, np.random.default_rng(0))["noise"]
    assert noise.abs().max().item() == pytest.approx(0.5)
    assert noise.std().item() == pytest.approx(0.2, rel=0.03)
    assert 0.003 < (noise.abs() > 0.4999).float().mean().item() < 0.03, "2.5 deviations are rarely passed"
    silent = next_batch(make(method, policy_noise=0.0), np.random.default_rng(0))
    assert not silent["noise"].any()


# Who is updated, and when


@pytest.mark.parametrize("method", ["td3", "td3-bc"])
def test_each_loss_reaches_its_own_networks_alone(method):
    learner = make(method)
    batch = next_batch(learner, np.random.default_rng(0))
    model = learner.model

    def reached():
        names = {
            name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()
        }
        model.zero_grad(set_to_none=True)
        return names

    learner.actor_loss(batch).backward()
    assert reached() == {"actor"}
    learner.critic_loss(batch).backward()
    assert reached() == {"critics"}


@pytest.mark.parametrize("method", ["td3", "td3-bc"])
def test_the_joint_gradient_is_that_of_both_losses(method):
    learner = make(method, policy_delay=1)
    batch = next_batch(learner, np.random.default_rng(0))
    learner.loss(batch).backward()
    joint = {name: p.grad.clone() for name, p in learner.model.named_parameters() if p.grad is not None}
    for network, loss in (("actor", learner.actor_loss), ("critics", learner.critic_loss)):
        learner.model.zero_grad(set_to_none=True)
        loss(batch).backward()
        for name, parameter in learner.model.named_parameters():
            if name.split(".")[0] == network:
                torch.testing.assert_close(parameter.grad, joint[name], rtol=0, atol=0)


@pytest.mark.parametrize("method", ["td3", "td3-bc"])
def test_actor_and_target_networks_move_at_every_third_update(method):
    learner = make(method, policy_delay=3, target_update=0.25)
    model, generator = learner.model, np.random.default_rng(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    moved = []
    for done in range(7):
        actor, critics = copy_of(model.actor), copy_of(model.critics)
        targets = copy_of(model.target_actor), copy_of(model.target_critics)
        update(learner, done, optimiser, generator)
        assert not same(critics, copy_of(model.critics))
        moved.append((
            not same(actor, copy_of(model.actor)),
            not same(targets[0], copy_of(model.target_actor)),
            not same(targets[1], copy_of(model.target_critics)),
        ))  # fmt: skip
    # The target networks follow the third update as the fourth begins, and the sixth as the seventh does.
    assert [actor for actor, _, _ in moved] == [False, False, True, False, False, True, False]
    for target in (1, 2):
        assert [which[target] for which in moved] == [False, False, False, True, False, False, True]


@given(st.floats(0.0, 1.0))
def test_target_networks_move_by_their_share_of_the_way(share):
    model = make("td3").model
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    online = copy_of(model.actor) + copy_of(model.critics)
    targets = copy_of(model.target_actor) + copy_of(model.target_critics)
    model.move_targets(share)
    after = copy_of(model.target_actor) + copy_of(model.target_critics)
    for new, old, ahead in zip(after, targets, online, strict=True):
        torch.testing.assert_close(new, (1 - share) * old + share * ahead, **NEAR)
    assert same(online, copy_of(model.actor) + copy_of(model.critics))


# The actors


def fixed_values(learner):
    """A first critic that says the action minus 4, and an actor that says half its first number."""
    learner.model.critics[0] = Said(lambda pairs: pairs[:, 2:] - 4)
    learner.model.actor = Said(lambda states: states[:, :1] / 2)
    return {"states": torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), "actions": torch.tensor([[0.0], [1.0]])}


def test_td3_climbs_the_value_of_its_own_actions():
    learner = make("td3")
    assert learner.actor_loss(fixed_values(learner)).item() == pytest.approx(4.0)


def test_td3_bc_weighs_the_value_by_its_own_size():
    learner = make("td3-bc", value_weight=2.5)
    # Actions 0.5 and -0.5 are worth -3.5 and -4.5, 4 on average without the sign.
    wanted = -2.5 / 4 * -4 + (0.5**2 + 1.5**2) / 2
    assert learner.actor_loss(fixed_values(learner)).item() == pytest.approx(wanted)


def test_no_gradient_passes_through_the_weight_of_the_value():
    learner = make("td3-bc", value_weight=2.5)
    batch = fixed_values(learner)
    acted = torch.tensor([[0.5], [-0.5]], requires_grad=True)
    learner.model.actor = Said(lambda states: acted)
    learner.actor_loss(batch).backward()
    # d/da of -lambda mean(a - 4) + mean((a - b)^2), lambda 2.5 / 4 being a constant.
    wanted = -2.5 / 4 / 2 + torch.tensor([[0.5], [-1.5]])
    torch.testing.assert_close(acted.grad, wanted)


def test_dropout_thins_no_target_network():
    model = make("td3", dropout=0.5).model.train()
    pairs = torch.randn(64, 3)
    for critics, alike in ((model.critics, False), (model.target_critics, True)):
        assert torch.equal(critics[0](pairs), critics[0](pairs)) == alike
