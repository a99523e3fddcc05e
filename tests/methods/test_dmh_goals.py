"""DM-H's sub-goals: the valuable states of the data, the branch that learns from them, and draws of z."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from in_context_cases import batch_of, history, make, steps_of

from bench.datasets.episodes import Episodes
from bench.methods.dmh_blocks import Blocks
from bench.methods.dmh_goals import Rule, valuable_states, valuable_steps

OPTIONS = {
    "subgoal_rule": "own", "subgoal_ties": "earliest", "subgoal_rewards": "passed", "goal_range": "episode",
}  # fmt: skip


def test_valuable_subgoals_add_a_branch_through_a_frozen_map():
    learner = make("dmh", dropout=0.0)
    plain = make("dmh", dropout=0.0, valuable_subgoals=False)
    episodes = history(learner.options, 3)
    batch = batch_of(learner, episodes)
    with torch.no_grad():
        both = learner.model(**batch)
        alone = plain.model(**batch_of(plain, episodes))
    assert len(both) == 2 * len(alone)
    torch.testing.assert_close(both[: len(alone)], alone)
    batch["valuable_states"] = 4 - batch["valuable_states"]
    with torch.no_grad():
        moved = learner.model(**batch)
    torch.testing.assert_close(moved[: len(alone)], alone)
    assert (moved[len(alone) :] - both[len(alone) :]).abs().max() > 1e-3
    learner.loss(batch).backward()
    frozen = {name for name, parameter in learner.model.named_parameters() if parameter.grad is None}
    assert frozen == {"valuable_map.weight", "valuable_map.bias"}


@given(st.data())
def test_valuable_states_are_those_a_search_finds(data):
    count, horizon = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 9))
    steps = data.draw(st.integers(1, 4))
    rule = Rule(
        reach=data.draw(st.integers(1, 12)), latest=data.draw(st.booleans()), passed=data.draw(st.booleans()),
        floor=data.draw(st.sampled_from([-np.inf, 0.0])),
    )  # fmt: skip
    row = st.lists(st.integers(-1, 1), min_size=horizon, max_size=horizon)
    rewards = np.array(data.draw(st.lists(row, min_size=count, max_size=count)), dtype=np.float32)
    starts = np.arange(0, horizon, steps)
    lengths = np.array(data.draw(st.lists(st.integers(1, horizon), min_size=count, max_size=count)))
    found = valuable_steps(rewards, lengths, starts, rule)
    for episode, length in enumerate(lengths):
        paid = [int(reward) for reward in rewards[episode, :length]]
        for number, start in enumerate(starts[starts < length]):
            values = {}
            for later in range(start + 1, min(start + rule.reach, length) + 1):
                way = paid[start:later] if rule.passed else paid[start + 1 : later + 1]
                value = Fraction(sum(way), int(later - start))
                values[later] = max(value, Fraction(0)) if rule.floor == 0.0 else value
            best = [later for later, value in values.items() if value == max(values.values())]
            assert found[episode, number] == (best[-1] if rule.latest else best[0])


def test_a_stretch_without_reward_points_to_the_next_state_or_to_the_last():
    nothing = np.zeros((1, 6), np.float32)
    for latest, expected in ((False, [1, 4]), (True, [6, 6])):
        found = valuable_steps(nothing, np.array([6]), np.array([0, 3]), Rule(6, latest))
        assert found.tolist() == [expected]


def guided(sums, earlier):
    """Block of the earlier episode that guides each block, as the authors' loop finds it."""
    found, pointer = [], 0
    for block in range(len(sums)):
        after = [at for at in range(pointer, len(earlier)) if sum(earlier[: at + 1]) > sum(sums[: block + 1])]
        pointer = after[0] if after else pointer
        found.append(min(pointer + 1, len(earlier) - 1) if after else None)
    return found


@given(st.data())
def test_a_block_is_guided_by_the_episode_before_where_that_had_earned_more(data):
    steps, longest = 2, 9
    lengths = data.draw(st.lists(st.integers(1, longest), min_size=3, max_size=3))
    rewards = np.zeros((1, 3, longest), np.float32)
    for episode, length in enumerate(lengths):
        rewards[0, episode, :length] = data.draw(
            st.lists(st.integers(-1, 2), min_size=length, max_size=length)
        )
    numbered = np.arange(3 * (longest + 1)).reshape(1, 3, longest + 1, 1)
    episodes = Episodes(numbered, np.zeros((1, 3, longest), np.int64), rewards, np.array([lengths]))
    blocks = Blocks(episodes, steps)
    goals = valuable_states(OPTIONS | {"subgoal_rule": "previous"}, blocks)[0, :, :, 0]
    own = valuable_steps(rewards[0], np.array(lengths), blocks.starts, Rule(longest, floor=0.0))
    sums = [row[real].tolist() for row, real in zip(blocks.sums()[0], blocks.real[0], strict=True)]
    for episode in range(3):
        guides = guided(sums[episode], sums[episode - 1]) if episode else [None] * len(sums[0])
        for number, guide in enumerate(guides):
            at = (episode, own[episode, number]) if guide is None else (episode - 1, guide * steps)
            assert goals[episode, number] == numbered[0, at[0], at[1], 0]


def test_the_first_episode_of_a_context_is_guided_by_itself_alone():
    learner, episodes = make("dmh"), history(make("dmh").options, 3)
    blocks = Blocks(episodes, learner.options["steps_per_subgoal"])
    own, previous = (
        valuable_states(OPTIONS | {"subgoal_rule": rule}, blocks) for rule in ("own", "previous")
    )
    assert (own[:, 0] == previous[:, 0]).all()
    assert (own[:, 1:] != previous[:, 1:]).any()


def test_a_sub_goal_without_a_layer_has_the_width_of_the_tokens():
    assert make("dmh", subgoal_layer=False).model.local.goal_size == 16
    with pytest.raises(
        ValueError, match="subgoal_layer: a sub-goal of 2 numbers needs a layer to the width 16"
    ):
        make("dmh", subgoal_layer=False, subgoal_size="state")


def test_both_heads_of_the_sub_goal_stay_within_what_tanh_allows():
    learner = make("dmh", subgoal_head="tanh", subgoal="sampled", subgoal_draws="position")
    gaussian = learner.model.long_term.goals
    hidden = 30 * torch.randn(200, 16)
    with torch.no_grad():
        mean, above = (gaussian(hidden, torch.full((200, 3, gaussian.size), size)) for size in (0.0, 1.0))
    assert mean.abs().max() <= 1.0
    assert mean.abs().max() > 0.99
    spread = above - mean
    assert (spread.min(), spread.max()) == pytest.approx((np.exp(-0.5), np.exp(0.5)), rel=1e-3)


@pytest.mark.parametrize(("draws", "differ"), [("block", False), ("position", True)])
def test_a_block_has_one_draw_of_its_sub_goal_or_one_for_each_position(draws, differ):
    learner = make("dmh", subgoal="sampled", subgoal_draws=draws, valuable_subgoals=False, horizon=6)
    batch = batch_of(learner, history(learner.options, 3))
    with torch.no_grad():
        before = steps_of(learner.model(**batch), batch)
        batch["noise"][:, -1] += 1.0
        after = steps_of(learner.model(**batch), batch)
    moved = (after - before).abs().amax(dim=(0, 2))
    assert (moved[:2].max() < 1e-6) == differ, "the last position's own draw reaches no other"
    assert moved[2] > 1e-3
