"""DM-H acts as it was trained, under either reading of the paper, and sees no more than it may."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from in_context_cases import batch_of, history, make, steps_of
from method_cases import NEAR, ROOMS, begun, decode, observation, part, trial

from bench.methods import dmh_policy
from bench.worlds.gridworld.world import ACTIONS

CODE = {
    "block_target_return": True, "subgoal_head": "tanh", "subgoal_size": "state", "subgoal_draws": "position",
    "local_position": "timestep", "embedding_norm": "shared", "completion_embedding": "rows",
    "subgoal_rule": "previous",
}  # fmt: skip
READINGS = {"text": {}, "merged": {"long_tokens": "rich", "local_tokens": "merged"}, "code": CODE}
MIXED = {
    "code, merged": CODE | READINGS["merged"],
    "no positions": {"local_position": "none"},
    "layer norm": {"norm": "layer"},
}


def of_last_episode(learner, episodes):
    """Logits (ROOMS, horizon, ACTIONS) of the training pass, of z's branch, for the last episode."""
    with torch.no_grad():
        predicted = learner.model(**batch_of(learner, episodes))
    of_z = predicted[: ROOMS * episodes.rewards[0].size]
    return of_z.reshape(ROOMS, -1, ACTIONS)[:, -learner.options["horizon"] :]


@pytest.mark.parametrize("horizon", [6, 7])
@pytest.mark.parametrize("name", [*READINGS, *MIXED])
def test_a_test_computes_step_by_step_what_training_does_at_once(monkeypatch, name, horizon):
    """A test asks for what the last episode of a training context earns."""
    learner = make("dmh", horizon=horizon, target_return=4.0, **(READINGS | MIXED)[name])
    episodes = history(learner.options, 5)
    decoded = decode(dmh_policy, monkeypatch, learner, part(episodes, [1, 2]), part(episodes, [4]))
    expected = of_last_episode(learner, part(episodes, [1, 2, 4]))
    torch.testing.assert_close(decoded, expected, **NEAR)
    assert decoded.std(dim=(0, 1)).min() > 0.01, "logits that depend on nothing are equal whatever is done"


def test_the_return_asked_for_is_told_block_by_block(monkeypatch):
    decoded = []
    for asked in (4.0, 5.0):
        learner = make("dmh", target_return=asked, **CODE)
        episodes = history(learner.options, 5)
        decoded.append(decode(dmh_policy, monkeypatch, learner, part(episodes, [1]), part(episodes, [4])))
    assert (decoded[0] - decoded[1]).abs().amax(dim=(0, 2)).min() > 1e-4


@pytest.mark.parametrize("name", READINGS)
def test_an_action_is_predicted_before_it_is_seen(name):
    learner = make("dmh", valuable_subgoals=False, horizon=6, **READINGS[name])
    batch = batch_of(learner, history(learner.options, 3))
    changed = batch | {"actions": batch["actions"].clone()}
    changed["actions"][:, 1] = (batch["actions"][:, 1] + 1) % ACTIONS
    with torch.no_grad():
        before, after = (steps_of(learner.model(**given), batch) for given in (batch, changed))
    torch.testing.assert_close(before[:, :2], after[:, :2], rtol=0, atol=1e-6)
    assert (before[:, 2] - after[:, 2]).abs().max() > 1e-3


@pytest.mark.parametrize("name", READINGS)
@pytest.mark.parametrize("told", ["block_sums", "block_completed"])
def test_a_sub_goal_is_recalled_before_its_own_block_has_earned_anything(name, told):
    """z is read at the state, which comes before the block's sum and completion (equation 5)."""
    learner = make("dmh", valuable_subgoals=False, horizon=6, **READINGS[name])
    batch = batch_of(learner, history(learner.options, 3))
    blocks, changed = 3 * 2, batch | {told: batch[told].clone()}
    values = changed[told][:, 2]
    changed[told][:, 2] = ~values if told == "block_completed" else values + 1.0
    with torch.no_grad():
        before, after = (steps_of(learner.model(**given), batch) for given in (batch, changed))
    moved = (before - after).abs().amax(dim=(1, 2)).reshape(ROOMS, blocks).amax(dim=0)
    assert moved[:3].max() < 1e-6
    assert moved[3] > 1e-4


def test_a_sliding_window_reads_the_last_steps_across_the_borders_of_blocks(monkeypatch):
    """All of its steps are told the sub-goal of the block that goes on."""
    slides, blocks = (make("dmh", horizon=7, local_window=kind, **CODE) for kind in ("sliding", "block"))
    episodes = history(slides.options, 5)
    past, current = part(episodes, [1]), part(episodes, [4])
    found, of_blocks = (decode(dmh_policy, monkeypatch, one, past, current) for one in (slides, blocks))
    torch.testing.assert_close(found[:, :3], of_blocks[:, :3], **NEAR)
    batch = batch_of(slides, part(episodes, [1, 4]))
    # Each room has 3 blocks of the past episode, then those of this one; the second begins at step 3.
    recalled = []
    slides.model.long_term.goals.register_forward_hook(lambda *called: recalled.append(called[2]))
    asked = batch | {"block_returns": batch["block_returns"] - 4.0 + slides.options["target_return"]}
    with torch.no_grad():
        slides.model(**asked)
        goals = recalled[0].reshape(ROOMS, 6, 3, -1)[:, 4]
        steps = slice(2, 5)
        states, actions, rewards = (
            values[:, 0, steps] for values in (current.states, current.actions, current.rewards)
        )
        times = torch.arange(2, 5).expand(ROOMS, 3)
        told = (torch.from_numpy(np.ascontiguousarray(values)) for values in (states, actions, rewards))
        expected = slides.model.local(goals, *told, times)[:, -1]
    torch.testing.assert_close(found[:, 4], expected, **NEAR)
    assert (found[:, 4] - of_blocks[:, 4]).abs().max() > 1e-3


def test_a_sliding_window_draws_a_sub_goal_for_each_of_its_steps_at_each_decision():
    learner = make("dmh", local_window="sliding", **CODE | {"subgoal": "sampled"})
    drawn = []
    learner.model.long_term.goals.register_forward_hook(lambda *called: drawn.append(called[2]))
    states = history(learner.options, 1).states[:, 0]
    policy = begun(learner.policy(trial()), states[:, 0])
    with torch.no_grad():
        for step in range(5):
            policy.act(observation(states[:, step]))
            policy.observe(np.zeros(ROOMS, np.float32))
    # At a block's start one draw is made for the whole block; then one at each decision, for the window.
    assert [goals.shape[1] for goals in drawn] == [3, 1, 2, 3, 3, 3, 3]
    assert (drawn[3] - drawn[6]).abs().max() > 1e-3
