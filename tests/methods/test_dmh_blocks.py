"""DM-H's blocks of c steps: what Mamba reads of them, and which of them are trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from in_context_cases import batch_of, history, make, of_lengths, steps_of
from method_cases import ROOMS

from bench.methods.dmh_blocks import Blocks

LENGTHS = [[[6, 6]] * ROOMS, [[7, 7]] * ROOMS, [[2, 5], [7, 1], [3, 6]]]


@pytest.mark.parametrize("lengths", LENGTHS)
def test_a_block_tells_its_first_state_and_what_its_own_steps_earned(lengths):
    steps = 3
    episodes = of_lengths(make("dmh").options, lengths)
    asked = np.array([10.0, 20.0, 30.0], np.float32)
    told, valid, place = Blocks(episodes, steps).long_sequence(asked, whole=True)
    for room in range(ROOMS):
        expected = sum(-(-length // steps) for length in lengths[room])
        assert valid[room].tolist() == [number < expected for number in range(valid.shape[1])]
        for episode, length in enumerate(lengths[room]):
            rewards, states = episodes.rewards[room, episode], episodes.states[room, episode]
            for number in range(-(-length // steps)):
                at = room, place[room, episode, number]
                first, last = number * steps, min((number + 1) * steps, length)
                assert told["block_states"][at].tolist() == states[first].tolist()
                assert told["block_sums"][at] == rewards[first:last].sum()
                assert told["block_completed"][at] == (last == length)
                assert told["block_returns"][at] == asked[room] - rewards[:first].sum()
                assert told["block_rewards"][at][: last - first].tolist() == rewards[first:last].tolist()
                assert not told["block_rewards"][at][last - first :].any(), "padding earns nothing"
                reached = states[first + 1 : last + 1].tolist()
                assert told["reached_states"][at][: last - first].tolist() == reached


def test_a_limit_keeps_the_latest_blocks_of_a_context():
    episodes = of_lengths(make("dmh").options, [[7, 0, 4], [2, 3, 1], [7, 7, 7]])
    whole, limited = Blocks(episodes, 2), Blocks(episodes, 2, limit=5)
    assert whole.real.sum(axis=(1, 2)).tolist() == [6, 4, 12]
    assert limited.real.sum(axis=(1, 2)).tolist() == [5, 4, 5]
    assert limited.real[0, 0].tolist() == [False, True, True, True], "cut from the beginning"
    assert not limited.real[0, 1].any(), "an episode of no steps is none"
    assert limited.real[2].sum(axis=1).tolist() == [0, 1, 4]


def test_earlier_episodes_are_told_as_if_they_earned_what_the_last_one_does():
    learner = make("dmh", block_target_return=True)
    batch = batch_of(learner, history(learner.options, 3))
    begins = batch["block_returns"].reshape(ROOMS, 3, 3)[:, :, 0]
    assert (begins == 2.0).all(), "episode e of three earns e"


@pytest.mark.parametrize("whole_tokens", [False, True])
def test_only_rich_tokens_carry_every_step(whole_tokens):
    learner = make("dmh", long_tokens="rich" if whole_tokens else "separate")
    batch = batch_of(learner, history(learner.options, 3))
    assert ({"reached_states", "block_rewards"} <= batch.keys()) == whole_tokens


def test_a_share_of_the_blocks_is_trained_and_stays_what_it_is():
    whole = make("dmh", valuable_subgoals=False)
    half = make("dmh", valuable_subgoals=False, trained_blocks=0.5)
    episodes = history(whole.options, 3)
    all_blocks, some = batch_of(whole, episodes), batch_of(half, episodes)
    places = torch.searchsorted(all_blocks["trained"], some["trained"])
    assert len(some["trained"]) == round(0.5 * ROOMS * 3 * 3)
    with torch.no_grad():
        expected = steps_of(whole.model(**all_blocks), all_blocks)[places]
        torch.testing.assert_close(steps_of(half.model(**some), some), expected)


def test_the_loss_can_be_that_of_the_last_episode_of_each_context_alone():
    every, last = make("dmh"), make("dmh", trained_episodes="last")
    episodes = history(every.options, 3)
    batches = [batch_of(learner, episodes) for learner in (every, last)]
    assert batches[0]["trained"].tolist() == list(range(27))
    assert batches[1]["trained"].tolist() == [
        room * 9 + 6 + block for room in range(ROOMS) for block in range(3)
    ]
    expected = batches[0]["actions"].reshape(ROOMS, 9, 3)[:, 6:].flatten(0, 1)
    assert torch.equal(batches[1]["actions"], expected)


def test_the_branches_count_alike_or_that_of_the_valuable_sub_goal_half():
    episodes = history(make("dmh").options, 3)
    losses = {}
    for kind in ("average", "half"):
        learner = make("dmh", branch_loss=kind)
        losses[kind] = learner.loss(batch_of(learner, episodes))
    own = make("dmh", valuable_subgoals=False)
    of_z = own.loss(batch_of(own, episodes))
    of_valuable = 2 * losses["average"] - of_z
    assert (of_z - of_valuable).abs() > 1e-3
    torch.testing.assert_close(losses["half"], of_z + 0.5 * of_valuable)


@pytest.mark.parametrize(("bounded", "groups"), [("module", 2), ("model", 1)])
def test_the_gradient_is_bounded_in_each_module_or_in_both_together(bounded, groups):
    learner = make("dmh", gradient_norm=bounded)
    learner.loss(batch_of(learner, history(learner.options, 3))).backward()
    found = [list(parameters) for parameters in learner.clipped()]
    assert len(found) == groups
    held = [parameter for parameters in found for parameter in parameters if parameter.requires_grad]
    trained = [parameter for parameter in learner.model.parameters() if parameter.requires_grad]
    assert sorted(map(id, held)) == sorted(map(id, trained)), "each parameter once"
