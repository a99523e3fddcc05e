"""CQL: densities of squashed actions, the conservative term, the soft actor, and whom each loss reaches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from feed_forward_cases import Said, make
from hypothesis import given, settings
from hypothesis import strategies as st
from method_cases import begun, next_batch, observation, trial
from torch import nn
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from bench.methods.cql import GaussianActor, log_slope

NEAR = {"rtol": 1e-4, "atol": 1e-5}


def actor(mean, log_deviation):
    """An actor that says the same distribution in every state."""
    made = GaussianActor(make("cql").options)
    made.network = Said(lambda states: torch.tensor([mean, log_deviation]).expand(*states.shape[:-1], 2))
    return made


# Squashed actions


@given(st.floats(-30, 30))
def test_the_slope_of_tanh_is_exact_where_tanh_rounds_to_one(latent):
    wanted = -2 * (np.logaddexp(latent, -latent) - np.log(2))
    assert log_slope(torch.tensor(latent)).item() == pytest.approx(wanted, rel=1e-4, abs=1e-5)


@given(st.floats(-1.5, 1.5), st.floats(-1.5, 0.5), st.floats(-1.5, 1.5))
@settings(max_examples=25, deadline=None)
def test_samples_and_densities_are_those_of_a_normal_through_tanh(mean, log_deviation, noise):
    known = TransformedDistribution(Normal(mean, math.exp(log_deviation)), [TanhTransform(cache_size=1)])
    states = torch.zeros(1, 2)
    drawn, density = actor(mean, log_deviation).sample(states, torch.full((1, 1), noise))
    wanted = torch.tanh(torch.tensor(mean + math.exp(log_deviation) * noise))
    torch.testing.assert_close(drawn, wanted.reshape(1, 1), **NEAR)
    if drawn.abs() < 0.99:
        torch.testing.assert_close(density, known.log_prob(drawn)[:, 0], rtol=1e-3, atol=1e-3)
        again = actor(mean, log_deviation).log_density(states, drawn)
        torch.testing.assert_close(again, density, rtol=1e-3, atol=1e-3)


def test_many_samples_of_a_state_are_drawn_at_once():
    learner = make("cql")
    states, noise = torch.randn(3, 2), torch.randn(5, 3, 1)
    drawn, densities = learner.model.actor.sample(states, noise)
    for number in range(5):
        one, density = learner.model.actor.sample(states, noise[number])
        torch.testing.assert_close(drawn[number], one)
        torch.testing.assert_close(densities[number], density)


def test_the_policy_takes_the_mean_through_tanh():
    learner = make("cql")
    states = np.float32([[0.5, 1.0], [3.0, -1.0]])
    with torch.no_grad():
        acted = begun(learner.policy(trial(2)), states).act(observation(states))
        mean = learner.model.actor.network(torch.from_numpy(learner.model.normaliser.of(states)))[:, :1]
    np.testing.assert_array_equal(acted, torch.tanh(mean).numpy())


def test_an_action_on_the_bound_is_cloned_from_a_little_inside_it():
    learner, states = make("cql"), torch.randn(2, 2)
    density = learner.model.actor.log_density(states, torch.tensor([[1.0], [-1.0]]))
    inside = learner.model.actor.log_density(states, torch.tensor([[0.99], [-0.99]]))
    torch.testing.assert_close(density, inside)
    density.sum().backward()
    assert all(p.grad.isfinite().all() for p in learner.model.actor.parameters())


# Critics


def test_the_conservative_term_of_a_hand_made_batch():
    learner = make("cql", conservative_weight=5.0, value_discount=0.5)
    model = learner.model
    model.actor = actor(0.3, -1.0)
    # Both critics say the action, the second one three times as much; no value ahead after terminations.
    model.critics = nn.ModuleList(
        [Said(lambda pairs: pairs[..., 2:]), Said(lambda pairs: 3 * pairs[..., 2:])]
    )
    noise, even = torch.tensor([[[0.5]], [[-1.0]]]), torch.tensor([[[0.2]], [[-0.7]]])
    batch = {
        "states": torch.zeros(1, 2), "actions": torch.tensor([[0.4]]), "next_states": torch.zeros(1, 2),
        "rewards": torch.tensor([2.0]), "terminations": torch.ones(1), "next_noise": torch.zeros(1, 1),
        "candidates": even, "candidate_noise": noise,
    }  # fmt: skip
    latent = [0.3 + math.exp(-1) * 0.5, 0.3 - math.exp(-1) * 1.0]
    own = [math.tanh(u) for u in latent]
    normal = [-0.5 * z**2 + 1.0 - 0.5 * math.log(2 * math.pi) for z in (0.5, -1.0)]
    densities = [
        0.5,
        0.5,
        *(math.exp(n) / (1 - a**2) for n, a in zip(normal, own, strict=True)),
    ]
    wanted = 0.0
    for factor in (1, 3):
        soft = math.log(
            sum(math.exp(factor * a) / d for a, d in zip([0.2, -0.7, *own], densities, strict=True)) / 4
        )
        wanted += (factor * 0.4 - 2.0) ** 2 + 5.0 * (soft - factor * 0.4)
    assert learner.critic_loss(batch).item() == pytest.approx(wanted, rel=1e-4)


def test_the_candidates_estimate_the_integral_over_all_actions():
    learner = make("cql", sampled_actions=20_000, batch_size=1)
    learner.model.actor = actor(0.5, -0.5)
    batch = next_batch(learner, np.random.default_rng(0))
    actions, densities = learner.candidates(batch)
    assert actions.shape == (40_000, 1, 1)
    estimate = torch.logsumexp(2 * actions[:, 0, 0] - densities[:, 0], dim=0) - math.log(40_000)
    # The integral of exp(2 a) from -1 to 1.
    assert estimate.item() == pytest.approx(math.log(math.sinh(2.0)), abs=0.02)


def test_targets_take_the_smaller_critic_at_the_actors_action_and_no_entropy():
    learner = make("cql", value_discount=0.5)
    learner.model.actor = actor(0.2, -1.0)
    learner.model.target_critics = nn.ModuleList(
        [Said(lambda pairs: 10 * pairs[:, 2:]), Said(lambda pairs: pairs[:, :1])]
    )
    batch = {
        "next_states": torch.tensor([[100.0, 0.0], [0.5, 0.0], [0.5, 0.0]]),
        "next_noise": torch.tensor([[1.0], [0.0], [0.0]]),
        "rewards": torch.tensor([1.0, 2.0, 3.0]),
        "terminations": torch.tensor([0.0, 0.0, 1.0]),
    }
    wanted = [1 + 0.5 * 10 * math.tanh(0.2 + math.exp(-1)), 2 + 0.5 * 0.5, 3]
    torch.testing.assert_close(learner.targets(batch), torch.tensor(wanted))


# The actor


def actors_batch(learner):
    learner.model.actor = actor(0.2, -1.0)
    learner.model.critics = nn.ModuleList(
        [Said(lambda pairs: 10 + pairs[:, 2:]), Said(lambda pairs: 8 * pairs[:, 2:])]
    )
    return {"states": torch.zeros(1, 2), "actions": torch.tensor([[0.6]]), "noise": torch.tensor([[0.5]])}


@pytest.mark.parametrize(("number", "cloning"), [(3, True), (4, False)])
def test_the_actor_begins_by_cloning_and_then_climbs_the_smaller_value(number, cloning):
    learner = make("cql", cloning_updates=3, entropy_weight=0.25, tune_entropy=False)
    learner.begin_update(number - 1, np.random.default_rng(0))
    batch = actors_batch(learner)

    def density(latent):
        spread = (latent - 0.2) / math.exp(-1)
        bent = math.log(1 - math.tanh(latent) ** 2)
        return -0.5 * spread**2 + 1.0 - 0.5 * math.log(2 * math.pi) - bent

    latent = 0.2 + math.exp(-1) * 0.5
    gained = density(math.atanh(0.6)) if cloning else 8 * math.tanh(latent)
    # The coefficient's own loss, -log 0.25 (log density - 1), is added; it only moves the coefficient.
    own = -math.log(0.25) * (density(latent) - 1)
    wanted = 0.25 * density(latent) - gained + own
    assert learner.actor_loss(batch).item() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(("log_deviation", "rises"), [(-6.0, True), (-0.5, False)])
def test_the_coefficient_rises_while_the_entropy_is_below_its_target(log_deviation, rises):
    learner = make("cql")
    learner.model.actor = actor(0.0, log_deviation)
    _, densities = learner.model.actor.sample(torch.zeros(500, 2), torch.randn(500, 1))
    learner.entropy_loss(densities).backward()
    assert (learner.model.log_entropy_weight.grad.item() < 0) == rises


# Who is updated


@pytest.mark.parametrize("cloning_updates", [0, 10])
@pytest.mark.parametrize("tune_entropy", [True, False])
def test_each_loss_reaches_its_own_networks_alone_and_the_joint_loss_is_their_sum(
    cloning_updates, tune_entropy
):
    learner = make("cql", cloning_updates=cloning_updates, tune_entropy=tune_entropy, sampled_actions=3)
    batch, model = next_batch(learner, np.random.default_rng(0)), learner.model

    def gradients(loss):
        model.zero_grad(set_to_none=True)
        loss.backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    critics, actors = gradients(learner.critic_loss(batch)), gradients(learner.actor_loss(batch))
    assert {name.split(".")[0] for name, gradient in critics.items() if gradient.any()} == {"critics"}
    reached = {"actor", "log_entropy_weight"} if tune_entropy else {"actor"}
    assert {name.split(".")[0] for name, gradient in actors.items() if gradient.any()} == reached
    joint, alone = gradients(learner.loss(batch)), critics | actors
    assert joint.keys() == alone.keys()
    for name, gradient in joint.items():
        torch.testing.assert_close(gradient, alone[name], rtol=0, atol=0)


def test_candidates_fill_the_range_of_actions_evenly():
    learner = make("cql", sampled_actions=500)
    even = next_batch(learner, np.random.default_rng(0))["candidates"]
    assert even.shape == (500, 16, 1)
    assert (even.abs() <= 1).all()
    assert even.mean().abs().item() < 0.03
    assert even.square().mean().item() == pytest.approx(1 / 3, rel=0.03)
