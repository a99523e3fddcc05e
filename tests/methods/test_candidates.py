"""Decoding of QT and Q-DeMa: every candidate is what its own window predicts, and the critics choose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feed_forward_cases import Said
from method_cases import begun, observation, trial
from q_guided_learners import METHODS, NEAR, POLICIES, make
from torch import nn

from bench.methods import candidates as decoding
from bench.methods.candidates import predict_candidates
from bench.methods.windows import actions_before, random_windows


@pytest.mark.parametrize(("method", "changes"), POLICIES)
@pytest.mark.parametrize("length", [1, 2, 4])
def test_candidates_are_what_reading_each_window_anew_predicts(method, changes, length):
    policy = make(method, **changes).model.eval().policy
    learner = make(method, **changes)
    window = random_windows(learner.options, 3, length, np.random.default_rng(1))
    window["timesteps"] += 2
    candidates = torch.randn(3, 5)
    with torch.no_grad():
        got = predict_candidates(policy, window, candidates)
        for number in range(5):
            asked = window["returns"].clone()
            asked[:, -1, 0] = candidates[:, number]
            torch.testing.assert_close(got[:, number], policy(**window | {"returns": asked})[:, -1], **NEAR)
    assert got.std(dim=1).min() > 1e-4, "predictions that are all alike would be equal by chance"


@pytest.mark.parametrize(("method", "changes"), POLICIES)
def test_a_guided_model_reads_a_window_and_steps_as_its_policy_does(method, changes):
    learner = make(method, **changes)
    model = learner.model.eval()
    window = random_windows(learner.options, 3, 2, np.random.default_rng(1))
    with torch.no_grad():
        wanted = model.policy(**window)
        torch.testing.assert_close(model(**window, rewards=torch.zeros(3, 2)), wanted, rtol=0, atol=0)
        memory, before = model.allocate_state(3, 2), torch.zeros(3, 1)
        for step in range(2):
            returns, states = window["returns"][:, step], window["states"][:, step]
            predicted, memory = model.step(returns, states, before, step, memory)
            torch.testing.assert_close(predicted, wanted[:, step], **NEAR)
            before = window["actions"][:, step]


def played(learner, steps=7, alive=None, seed=0, critics=None):
    """States, returns asked for and actions (2, steps, .) of two episodes, the critics being given."""
    learner.model.eval()
    if critics is not None:
        learner.model.target_critics = nn.ModuleList([Said(critic) for critic in critics])
    drawn = np.random.default_rng(3)
    states = drawn.normal(size=(steps, 2, 2)).astype(np.float32)
    returns = drawn.uniform(1000, 3000, size=(steps, 2)).astype(np.float32)
    policy = begun(learner.policy(trial(2, seed)), states[0])
    with torch.no_grad():
        actions = [
            policy.act(observation(states[t], returns[t], True if alive is None else alive[t]))
            for t in range(steps)
        ]
    return states, returns, np.stack(actions)


def windows_tried(learner, states, returns, actions, step):
    """What the policy would do at `step` of each episode for the target and for half of it (2, 2)."""
    first = max(0, step - learner.options["context_length"] + 1)
    span, found = slice(first, step + 1), []
    own = torch.from_numpy(actions).transpose(0, 1)
    for lowered in (0.0, 0.5):
        left = (returns[span] - lowered * returns[0]) / 1000
        with torch.no_grad():
            predicted = learner.model.policy(
                returns=torch.from_numpy(left).transpose(0, 1)[..., None],
                states=torch.from_numpy(learner.model.normaliser.of(states[span])).transpose(0, 1),
                actions=own[:, span],
                previous_actions=actions_before(own)[:, span],
                timesteps=torch.arange(first, step + 1).expand(2, -1),
                mask=torch.ones(2, step + 1 - first, dtype=torch.bool),
            )
        found.append(predicted[:, -1, 0].numpy())
    return np.stack(found, axis=1)


@pytest.mark.parametrize(("method", "changes"), POLICIES)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_action_of_the_highest_value_is_taken(method, changes, sign):
    learner = make(method, candidates_per_target=1, **changes)
    # The smaller critic says the action, or less the action; the other is far above.
    critics = [lambda pairs: sign * pairs[..., 2:], lambda pairs: 0 * pairs[..., 2:] + 100]
    states, returns, actions = played(learner, critics=critics)
    for step in range(7):
        tried = windows_tried(learner, states, returns, actions, step)
        wanted = (tried if sign == 1 else -tried).max(axis=1) * sign
        np.testing.assert_allclose(actions[step, :, 0], wanted, **NEAR)
        assert np.abs(tried[:, 0] - tried[:, 1]).max() > 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_critics_see_normalised_states_and_each_candidates_own_action(method):
    learner = make(method, candidate_targets=1)
    seen = []

    def critic(pairs):
        seen.append(pairs)
        return pairs[..., 2:]

    states, returns, actions = played(learner, steps=3, critics=[critic, lambda p: p[..., 2:]])
    for step in range(3):
        assert seen[step].shape == (2, 25, 3)
        wanted = torch.from_numpy(learner.model.normaliser.of(states[step]))[:, None].expand(2, 25, 2)
        torch.testing.assert_close(seen[step][..., :2], wanted)
        assert seen[step][..., 2].std(dim=1).min() > 1e-5, "returns differ, and so do actions"
        np.testing.assert_array_equal(actions[step, :, 0], seen[step][..., 2].amax(dim=1))
        # The first candidate is the return still wanted, without noise.
        tried = windows_tried(learner, states, returns, actions, step)[:, 0]
        np.testing.assert_allclose(seen[step][:, 0, 2], tried, **NEAR)


def test_without_deviation_a_single_target_is_plain_decoding():
    learner = make("qt", candidate_targets=1, candidate_deviation=0.0)
    states, returns, actions = played(learner)
    for step in range(7):
        wanted = windows_tried(learner, states, returns, actions, step)[:, 0]
        np.testing.assert_allclose(actions[step, :, 0], wanted, **NEAR)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_same_draws_are_made_whichever_episodes_are_over(temperature):
    learner = make("q-dema", candidate_temperature=temperature)
    _, _, both = played(learner)
    alive = np.array([[True, step < 2] for step in range(7)])
    _, _, first = played(learner, alive=alive)
    np.testing.assert_allclose(first[:, 0], both[:, 0], **NEAR)
    assert not first[2:, 1].any(), "an episode that is over takes no action"


def test_what_is_drawn_comes_from_the_generator_of_the_trial():
    def actions(seed):
        return played(make("qt", candidate_deviation=1.0), seed=seed)[2]

    np.testing.assert_array_equal(actions(1), actions(1))
    assert (actions(1) != actions(2)).any()


def test_with_a_temperature_candidates_are_drawn_by_the_softmax_of_their_values(monkeypatch):
    learner = make("qt", candidate_targets=2, candidates_per_target=1, candidate_temperature=0.5)
    learner.model.eval()

    def zero_or_one(policy, window, last):
        return torch.tensor([[0.0], [1.0]]).repeat(len(last) // 2, 1)[..., None]

    monkeypatch.setattr(decoding, "predict_candidates", zero_or_one)
    learner.model.target_critics = nn.ModuleList([Said(lambda pairs: 0.6 * pairs[..., 2:])] * 2)
    states = np.zeros((4000, 2), np.float32)
    policy = begun(learner.policy(trial(4000)), states)
    with torch.no_grad():
        acted = policy.act(observation(states, 1.0))
    assert acted.mean() == pytest.approx(1 / (1 + np.exp(-0.6 / 0.5)), abs=0.025)
