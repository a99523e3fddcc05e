"""AMAGO: targets, losses and experience of an actor-critic over whole meta-episodes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from method_cases import NEAR, ROOMS, decode, part, some_episodes, some_histories, tiny_learner, update

from bench.envs.gridworld import ACTIONS, GridWorld
from bench.methods import amago_policy
from bench.methods.amago import discounted_returns, td_targets
from bench.methods.amago_replay import Replay

TINY = {
    "room_side": 5, "horizon": 7, "context_episodes": 3, "embedding_dim": 16, "layers": 2, "heads": 4,
    "head_dim": 8, "critics": 2, "dropout": 0.0, "batch_size": 4, "collect_rooms": 6, "collect_every": 2,
    "replay_size": 16, "updates": 20,
}  # fmt: skip


def make(**changes):
    """A tiny learner that knows its training tasks."""
    learner = tiny_learner("darkroom", "amago", TINY, **changes)
    learner.prepare(some_histories())
    return learner


def updates(learner, generator, optimiser, count):
    """Loss of each of `count` gradient updates."""
    return [update(learner, some_histories(), optimiser, generator) for _ in range(count)]


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

    def __init__(self, logits, values, slow):
        self.said = logits, values, slow

    def __call__(self, positions, actions, rewards):
        return self.said


def test_losses_of_a_hand_made_meta_episode():
    learner = make(critic_weight=3.0, policy_weight=5.0, cloning_weight=7.0, entropy_weight=11.0,
                   value_discount=0.5, reward_multiplier=10.0, td_steps=1)  # fmt: skip
    half = torch.tensor([0.5, 0.5, 0, 0, 0]).log().clamp_min(-1e4)
    logits = torch.stack([half, half])[None].requires_grad_()
    values = torch.tensor(
        [[[[1.0, 3, 0, 0, 0], [2.0, 0, 0, 0, 0]]], [[[3.0, 3, 0, 0, 0], [4.0, 0, 0, 0, 0]]]]
    )
    slow = torch.tensor([[[[0.0] * 5, [4.0, 2, 0, 0, 0]]], [[[0.0] * 5, [2.0, 8, 0, 0, 0]]]])
    learner.model = Fixed(logits, values.requires_grad_(), slow)
    batch = {"actions": torch.tensor([[[1, 1]]]), "rewards": torch.tensor([[[1.0, 2.0]]])}
    terms = learner.terms(batch | {"positions": torch.zeros(1, 1, 2, 2)})
    # The second state is worth 1 + 2 * (0.5 * 2 + 0.5 * 2) = 5 to the most careful copy, action by action.
    first, second = (10 * 1 + 0.5 * 5 - 1) / 2, (10 * 2 - 1) / 2
    errors = [(3 - first) ** 2, (0 - second) ** 2] * 2
    assert terms["critic"].item() == pytest.approx(3 * np.mean(errors), rel=1e-5)
    # Mean values are (2, 3) and (3, 0): what the policy expects is 2.5 and 1.5.
    assert terms["policy"].item() == pytest.approx(0.0, abs=1e-6)
    assert terms["cloning"].item() == pytest.approx(7 * np.log(2) / 2, rel=1e-5), (
        "one of both actions is better"
    )
    assert terms["entropy"].item() == pytest.approx(-11 * np.log(2), rel=1e-5)
    assert learner.loss(batch | {"positions": None}).item() == pytest.approx(
        sum(term.item() for term in terms.values()), rel=1e-5
    )
    terms["policy"].backward()
    assert values.grad is None, "the actor does not change what the critics say"
    assert logits.grad[0, 0, 0] > 0 > logits.grad[0, 0, 1], "the better action becomes likelier"
    assert logits.grad[0, 1, 0] < 0 < logits.grad[0, 1, 1]
    terms["critic"].backward()
    assert (values.grad[:, 0, :, 1] != 0).all()
    assert not values.grad[..., 0].any(), "only actions that were taken are judged"


def test_slow_copies_get_no_gradient_and_follow_by_their_share():
    learner = make(target_update=0.25)
    learner.loss(learner.batch(some_histories(), np.random.default_rng(0))).backward()
    model = learner.model
    assert all(weight.grad is None for weight in model.targets.parameters())
    assert all(weight.grad is not None for name, weight in model.named_parameters() if "targets" not in name)
    slow, fast = (next(critics.parameters()).clone() for critics in (model.targets, model.critics))
    model.follow(0.25)
    torch.testing.assert_close(next(model.targets.parameters()), 0.75 * slow + 0.25 * fast)
    torch.testing.assert_close(next(model.critics.parameters()), fast, rtol=0, atol=0)


def test_a_new_unit_of_the_values_leaves_them_what_they_are_in_reward():
    learner = make()
    hidden = torch.randn(2, 5, 16)
    for critics in (learner.model.critics, learner.model.targets):
        learner.model.normalise(0.0, 1.0)
        before = critics(hidden)
        learner.model.normalise(30.0, 4.0)
        torch.testing.assert_close(30.0 + 4.0 * critics(hidden), before, **NEAR)


@pytest.mark.parametrize("position_embedding", [False, True])
@pytest.mark.parametrize(("past", "read"), [([], []), ([1], [1]), ([3, 2, 1], [2, 1])])
def test_it_decodes_step_by_step_what_it_computes_at_once(monkeypatch, past, read, position_embedding):
    learner = make(position_embedding=position_embedding)
    episodes = some_episodes(learner, 5)
    decoded = decode(amago_policy, monkeypatch, learner, part(episodes, past), part(episodes, [4]))
    with torch.no_grad():
        logits, _, _ = learner.model(**learner._batch(part(episodes, [*read, 4])))
    torch.testing.assert_close(decoded, logits[:, -7:], **NEAR)
    assert decoded.std(dim=(0, 1)).min() > 0.01, "what was seen matters"


@pytest.mark.parametrize("position_embedding", [False, True])
def test_reading_the_past_at_once_is_reading_it_token_by_token(monkeypatch, position_embedding):
    learner = make(position_embedding=position_embedding, context_order="time")
    episodes, steps = some_episodes(learner, 2), range(learner.options["horizon"])
    logits, taken = [], iter([episodes.actions[:, episode, t] for episode in (0, 1) for t in steps])

    def forced(predicted, space, temperature, generator):
        logits.append(predicted)
        return next(taken, episodes.actions[:, 0, 0])

    monkeypatch.setattr(amago_policy, "choose_actions", forced)
    at_once, stepped = learner.policy(ROOMS), learner.policy(ROOMS)
    with torch.no_grad():
        stepped.restart()
        for episode in (0, 1):
            stepped.next_episode()
            for t in steps:
                stepped.act(episodes.states[:, episode, t], 1.0, torch.Generator())
                stepped.observe(episodes.rewards[:, episode, t])
        at_once.begin(episodes)
        stepped.next_episode()
        for one, other in zip(at_once.states.layers, stepped.states.layers, strict=True):
            assert one.position == other.position == 14
            torch.testing.assert_close(one.keys, other.keys, **NEAR)
            torch.testing.assert_close(one.values, other.values, **NEAR)
        for policy in (at_once, stepped):
            policy.act(episodes.states[:, 0, 0], 1.0, torch.Generator())
    torch.testing.assert_close(logits[-2], logits[-1], **NEAR)


def test_actor_and_critics_never_see_the_action_they_judge_nor_what_came_of_it():
    learner = make()
    batch = learner._batch(some_episodes(learner, 3))
    for name in ("actions", "rewards"):
        changed = batch | {name: batch[name].clone()}
        changed[name][:, 1, 4] = (batch[name][:, 1, 4] + 1) % ACTIONS
        with torch.no_grad():
            before, after = learner.model(**batch), learner.model(**changed)
        for one, other in zip(before, after, strict=True):
            torch.testing.assert_close(one[..., :12, :], other[..., :12, :], rtol=0, atol=1e-6)
            assert (one[..., 12:, :] - other[..., 12:, :]).abs().max() > 1e-3


def test_own_experience_is_played_in_training_tasks_by_the_rules():
    learner = make(collect_rooms=16)
    learner._collect(np.random.default_rng(0))
    kept = learner.replay.episodes
    assert learner.replay.filled == 16
    goals = {tuple(goal) for goal in learner.goals.tolist()}
    for room in range(16):
        paid = {tuple(cell) for cell in kept.states[room, :, 1:][kept.rewards[room] > 0].tolist()}
        assert len(paid) <= 1, "one goal a meta-episode"
        assert paid <= goals
        goal = np.array([next(iter(paid))]) if paid else np.array([[4, 4]])
        world = GridWorld("darkroom", 5, 7, goal)
        for episode in range(3):
            assert kept.states[room, episode, 0].tolist() == world.reset()[0].tolist()
            for t in range(7):
                position, reward, _ = world.step(kept.actions[room, episode, t : t + 1])
                assert kept.states[room, episode, t + 1].tolist() == position[0].tolist()
                assert kept.rewards[room, episode, t] == reward[0] or not paid
    assert (kept.rewards > 0).any(), "or nothing was tested"


def test_what_is_collected_is_what_the_trained_pass_would_have_done(monkeypatch):
    learner = make(epsilon_first=0.0, epsilon_last=0.0, collect_rooms=ROOMS)
    seen = []

    def likeliest(logits, space, temperature, generator):
        seen.append(logits)
        return logits.argmax(dim=-1).numpy()

    monkeypatch.setattr(amago_policy, "choose_actions", likeliest)
    learner._collect(np.random.default_rng(0))
    kept = learner.replay.draw(1, np.random.default_rng(0))
    batch = learner._batch(kept)
    with torch.no_grad():
        logits, _, _ = learner.model(**batch)
    assert logits.argmax(dim=-1).tolist() == batch["actions"].flatten(1).tolist()
    assert len(seen) == 3 * 7


def test_exploration_falls_to_its_end_and_stays():
    learner = make(epsilon_first=0.8, epsilon_last=0.2, epsilon_share=0.5)
    expected = {0: 0.8, 5: 0.5, 10: 0.2, 20: 0.2}
    for drawn, epsilon in expected.items():
        learner.drawn = drawn
        assert learner.epsilon() == pytest.approx(epsilon)


def test_the_oldest_meta_episodes_make_place_for_new_ones():
    replay = Replay(TINY | {"replay_size": 5})
    for number in range(1, 4):
        replay.add(np.full((2, 3, 8, 2), number), np.full((2, 3, 7), number), np.full((2, 3, 7), number))
    assert replay.filled == 5
    drawn = replay.draw(200, np.random.default_rng(0))
    assert np.bincount(drawn.actions[:, 0, 0], minlength=4)[1:].min() > 20
    assert sorted(replay.episodes.actions[:, 0, 0].tolist()) == [1, 2, 2, 3, 3]


def test_experience_of_the_histories_is_their_contexts_alone(monkeypatch):
    learner = make(experience="histories")
    monkeypatch.setattr(learner, "_collect", lambda generator: pytest.fail("nothing is collected"))
    batch = learner.batch(some_histories(), np.random.default_rng(0))
    known = {tuple(row) for row in some_histories().actions.reshape(-1, 7).tolist()}
    assert {tuple(row) for row in batch["actions"].reshape(-1, 7).tolist()} <= known


def test_experience_of_both_kinds_shares_a_batch():
    learner = make(experience="both", batch_size=6)
    batch = learner.batch(some_histories(), np.random.default_rng(0))
    known = {tuple(row) for row in some_histories().actions.reshape(-1, 7).tolist()}
    own = {tuple(row) for row in learner.replay.episodes.actions.reshape(-1, 7).tolist()}
    rows = [[tuple(episode) for episode in context] for context in batch["actions"].tolist()]
    assert all(set(context) <= own for context in rows[:3])
    assert all(set(context) <= known for context in rows[3:])
    assert not any(set(context) <= own for context in rows[3:])


@pytest.mark.parametrize("experience", ["own", "histories", "both"])
def test_taken_up_from_its_state_it_goes_on_to_the_same_bytes(experience):
    whole, generator = make(experience=experience), np.random.default_rng(5)
    optimiser = torch.optim.SGD(whole.model.parameters(), lr=1e-5)
    updates(whole, generator, optimiser, 3)
    weights, state = copy.deepcopy(whole.model.state_dict()), copy.deepcopy(whole.state())
    position = copy.deepcopy(generator.bit_generator.state)
    wanted = updates(whole, generator, optimiser, 5)
    resumed = make(experience=experience)
    resumed.model.load_state_dict(weights)
    resumed.restore(state)
    generator.bit_generator.state = position
    optimiser = torch.optim.SGD(resumed.model.parameters(), lr=1e-5)
    assert updates(resumed, generator, optimiser, 5) == wanted
    for name, weight in resumed.model.state_dict().items():
        assert torch.equal(weight, whole.model.state_dict()[name]), name
