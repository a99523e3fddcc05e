"""AMAGO: targets, losses and decoding of an actor-critic over whole meta-episodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from amago_cases import batch_of, make
from hypothesis import given
from hypothesis import strategies as st
from method_cases import NEAR, ROOMS, decode, next_batch, observation, part, some_episodes, trial

from bench.methods import amago_policy
from bench.methods.amago import discounted_returns, td_targets
from bench.worlds.gridworld.world import ACTIONS


def test_targets_of_a_hand_made_meta_episode():
    rewards, values = torch.tensor([[1.0, 0.0, 2.0, 4.0]]), torch.tensor([[10.0, 20.0, 30.0, 40.0]])
    one = [1 + 0.5 * 20, 0 + 0.5 * 30, 2 + 0.5 * 40, 4]
    two = [1 + 0 + 0.25 * 30, 0 + 0.5 * 2 + 0.25 * 40, 2 + 0.5 * 4, 4]
    many = [1 + 0.25 * 2 + 0.125 * 4, 0.5 * 2 + 0.25 * 4, 2 + 0.5 * 4, 4]
    for steps, wanted in ((1, one), (2, two), (9, many)):
        assert td_targets(rewards, values, 0.5, steps)[0].tolist() == wanted
    assert discounted_returns(rewards.numpy(), 0.5)[0].tolist() == many


@given(st.integers(1, 6), st.integers(1, 8), st.floats(0.0, 1.0))
def test_values_that_are_the_returns_are_their_own_targets(steps, length, discount):
    rewards = np.random.default_rng(length).standard_normal((2, length)).astype(np.float32)
    returns = torch.from_numpy(discounted_returns(rewards, discount))
    targets = td_targets(torch.from_numpy(rewards).double(), returns, discount, steps)
    torch.testing.assert_close(targets, returns)


class Fixed:
    """A model that says what it is told to."""

    mean, scale = torch.tensor(1.0), torch.tensor(2.0)

    def __init__(self, logits, values, target_values):
        self.said = logits, values, target_values

    def __call__(self, positions, actions, rewards, asked):
        return self.said


def test_losses_of_a_hand_made_meta_episode():
    learner = make(critic_weight=3.0, policy_weight=5.0, cloning_weight=7.0, entropy_weight=11.0,
                   value_discount=0.5, reward_multiplier=10.0, td_steps=1,
                   value_normalisation=False)  # fmt: skip
    half = torch.tensor([0.5, 0.5, 0, 0, 0]).log().clamp_min(-1e4)
    logits = torch.stack([half, half])[None].requires_grad_()
    values = torch.tensor(
        [[[[1.0, 3, 0, 0, 0], [2.0, 0, 0, 0, 0]]], [[[3.0, 3, 0, 0, 0], [4.0, 0, 0, 0, 0]]]]
    )
    target_values = torch.tensor([[[[0.0] * 5, [4.0, 2, 0, 0, 0]]], [[[0.0] * 5, [2.0, 8, 0, 0, 0]]]])
    learner.model = Fixed(logits, values.requires_grad_(), target_values)
    batch = {"actions": torch.tensor([[[1, 1]]]), "rewards": torch.tensor([[[1.0, 2.0]]])}
    terms = learner.terms(batch | {"positions": torch.zeros(1, 1, 2, 2), "asked": None})
    # The target networks expect 3 and 5 of the second state: it is worth 1 + 2 * 3 = 7.
    first, second = (10 * 1 + 0.5 * 7 - 1) / 2, (10 * 2 - 1) / 2
    errors = [(3 - first) ** 2, (0 - second) ** 2] * 2
    assert terms["critic"].item() == pytest.approx(3 * np.mean(errors), rel=1e-5)
    # Mean values are (2, 3) and (3, 0): what the policy expects is 2.5 and 1.5.
    assert terms["policy"].item() == pytest.approx(0.0, abs=1e-6)
    assert terms["cloning"].item() == pytest.approx(7 * np.log(2) / 2, rel=1e-5), (
        "one of both actions is better"
    )
    assert terms["entropy"].item() == pytest.approx(-11 * np.log(2), rel=1e-5)
    assert learner.loss(batch | {"positions": None, "asked": None}).item() == pytest.approx(
        sum(term.item() for term in terms.values()), rel=1e-5
    )
    terms["policy"].backward()
    assert values.grad is None, "the actor does not change what the critics say"
    assert logits.grad[0, 0, 0] > 0 > logits.grad[0, 0, 1], "the better action becomes likelier"
    assert logits.grad[0, 1, 0] < 0 < logits.grad[0, 1, 1]
    terms["critic"].backward()
    assert (values.grad[:, 0, :, 1] != 0).all()
    assert not values.grad[..., 0].any(), "only actions that were taken are judged"


def test_a_target_asks_a_few_target_networks_drawn_anew_for_each_step():
    learner = make(critics=4, critics_in_target=2)
    batch = batch_of(learner, some_episodes(learner, 3))
    asked = batch["asked"]
    assert asked.shape == (2, ROOMS, 21)
    assert (asked[0] != asked[1]).all(), "two different ones"
    assert {tuple(pair) for pair in asked.flatten(1).sort(dim=0).values.T.tolist()} == {
        (one, other) for one in range(4) for other in range(one + 1, 4)
    }
    with torch.no_grad():
        _, _, chosen = learner.model(**batch)
        every = batch | {"asked": torch.arange(4)[:, None, None].expand(4, ROOMS, 21)}
        _, _, values = learner.model(**every)
    for number in range(4):
        assert torch.equal(chosen[asked == number], values[number].expand_as(chosen)[asked == number])
    assert values.std(dim=0).min() > 0, "they do not agree"


def test_target_networks_get_no_gradient_and_follow_by_their_share():
    learner = make(target_update=0.25)
    learner.loss(next_batch(learner, np.random.default_rng(0))).backward()
    model = learner.model
    assert all(weight.grad is None for weight in model.target_critics.parameters())
    assert all(
        weight.grad is not None for name, weight in model.named_parameters() if "target_critics" not in name
    )
    target, online = (next(critics.parameters()).clone() for critics in (model.target_critics, model.critics))
    learner.begin_update(1, np.random.default_rng(0))
    torch.testing.assert_close(next(model.target_critics.parameters()), 0.75 * target + 0.25 * online)
    torch.testing.assert_close(next(model.critics.parameters()), online, rtol=0, atol=0)


def test_a_new_unit_of_the_values_leaves_them_what_they_are_in_reward():
    learner = make()
    hidden = torch.randn(2, 5, 16)
    for critics in (learner.model.critics, learner.model.target_critics):
        learner.model.normalise(0.0, 1.0)
        before = critics(hidden)
        learner.model.normalise(30.0, 4.0)
        torch.testing.assert_close(30.0 + 4.0 * critics(hidden), before, **NEAR)


def test_the_units_of_the_values_follow_the_returns_of_the_batches():
    learner, moments = make(value_discount=0.5, reward_multiplier=10.0), 0.0
    for number, rewards in enumerate(([0.0, 4.0], [2.0, 2.0]), start=1):
        learner.begin_update(number - 1, np.random.default_rng(0))
        batch = batch_of(learner, some_episodes(learner, 3))
        batch["rewards"] = torch.tensor(rewards).repeat_interleave(21).view(2, 3, 7)[[0, 1, 1]]
        returns = discounted_returns(10 * batch["rewards"].flatten(1).numpy(), 0.5)
        # The first batch counts whole, later ones by a hundredth.
        share = 1.0 if number == 1 else 0.01
        moments = (1 - share) * moments + share * np.array([returns.mean(), (returns**2).mean()])
        learner.loss(batch)
        assert learner.model.mean.item() == pytest.approx(moments[0], rel=1e-5)
        assert learner.model.scale.item() == pytest.approx(np.sqrt(moments[1] - moments[0] ** 2), rel=1e-5)


@pytest.mark.parametrize("position_embedding", [False, True])
@pytest.mark.parametrize(("past", "read"), [([], []), ([1], [1]), ([3, 2, 1], [2, 1])])
def test_it_decodes_step_by_step_what_it_computes_at_once(monkeypatch, past, read, position_embedding):
    learner = make(position_embedding=position_embedding)
    episodes = some_episodes(learner, 5)
    decoded = decode(amago_policy, monkeypatch, learner, part(episodes, past), part(episodes, [4]))
    with torch.no_grad():
        logits, _, _ = learner.model(**batch_of(learner, part(episodes, [*read, 4])))
    torch.testing.assert_close(decoded, logits[:, -7:], **NEAR)
    assert decoded.std(dim=(0, 1)).min() > 0.01, "what was seen matters"


@pytest.mark.parametrize("position_embedding", [False, True])
def test_reading_the_past_at_once_is_reading_it_token_by_token(monkeypatch, position_embedding):
    learner = make(position_embedding=position_embedding)
    episodes, steps = some_episodes(learner, 2), range(learner.options["horizon"])
    logits, taken = [], iter([episodes.actions[:, episode, t] for episode in (0, 1) for t in steps])

    def forced(predicted, space, trial):
        logits.append(predicted)
        return next(taken, episodes.actions[:, 0, 0])

    monkeypatch.setattr(amago_policy, "choose_actions", forced)
    at_once, stepped = learner.policy(trial()), learner.policy(trial())
    with torch.no_grad():
        stepped.restart()
        for episode in (0, 1):
            stepped.next_episode()
            for t in steps:
                stepped.act(observation(episodes.states[:, episode, t]))
                stepped.observe(episodes.rewards[:, episode, t])
        at_once.begin(episodes)
        stepped.next_episode()
        for one, other in zip(at_once.states.layers, stepped.states.layers, strict=True):
            assert one.position == other.position == 14
            torch.testing.assert_close(one.keys, other.keys, **NEAR)
            torch.testing.assert_close(one.values, other.values, **NEAR)
        for policy in (at_once, stepped):
            policy.act(observation(episodes.states[:, 0, 0]))
    torch.testing.assert_close(logits[-2], logits[-1], **NEAR)


def test_actor_and_critics_never_see_the_action_they_judge_nor_what_came_of_it():
    learner = make()
    batch = batch_of(learner, some_episodes(learner, 3))
    for name in ("actions", "rewards"):
        changed = batch | {name: batch[name].clone()}
        changed[name][:, 1, 4] = (batch[name][:, 1, 4] + 1) % ACTIONS
        with torch.no_grad():
            before, after = learner.model(**batch), learner.model(**changed)
        for one, other in zip(before, after, strict=True):
            torch.testing.assert_close(one[..., :12, :], other[..., :12, :], rtol=0, atol=1e-6)
            assert (one[..., 12:, :] - other[..., 12:, :]).abs().max() > 1e-3
