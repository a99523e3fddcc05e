"""DM-H's blocks of c steps: their triples, which of them are trained, and valuable sub-goals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from in_context_cases import batch_of, history, make, of_lengths, steps_of
from method_cases import ROOMS

from bench.methods.dmh_blocks import Blocks, valuable_states


@pytest.mark.parametrize("lengths", [[[6, 6]] * ROOMS, [[7, 7]] * ROOMS, [[2, 5], [7, 1], [3, 6]]])
def test_triples_tell_what_happened_in_each_block(lengths):
    steps, side = 3, 5
    episodes = of_lengths({"horizon": 7, "room_side": side}, lengths)
    triples, valid, place = Blocks(episodes, steps).triples()
    for room in range(ROOMS):
        expected = sum(-(-length // steps) + 1 for length in lengths[room])
        assert valid[room].tolist() == [number < expected for number in range(valid.shape[1])]
        for episode, length in enumerate(lengths[room]):
            blocks = -(-length // steps)
            for number in range(blocks + 1):
                at = place[room, episode, number]
                first, last = max(number - 1, 0) * steps, min(number * steps, length)
                assert (
                    triples["triple_states"][room, at].tolist()
                    == episodes.states[room, episode, last].tolist()
                )
                earned = episodes.rewards[room, episode, first:last]
                assert triples["triple_sums"][room, at] == earned.sum()
                assert triples["triple_completed"][room, at] == (number == blocks)
                if number == 0:
                    assert triples["passed_rewards"][room, at].isnan().all(), "no block lies before the first"
                    continue
                assert triples["passed_rewards"][room, at, : len(earned)].tolist() == earned.tolist()
                assert not triples["passed_rewards"][room, at, len(earned) :].any(), "padding earns nothing"
                reached = episodes.states[room, episode, first + 1 : last + 1]
                assert triples["passed_states"][room, at, : len(earned)].tolist() == reached.tolist()


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


def test_a_share_of_the_blocks_is_trained_and_stays_what_it_is():
    whole = make("dmh", valuable_subgoals=False)
    half = make("dmh", valuable_subgoals=False, trained_blocks=0.5)
    episodes = history(whole.options, 3)
    all_blocks = batch_of(whole, episodes)
    some = batch_of(half, episodes)
    places = torch.searchsorted(all_blocks["trained"], some["trained"])
    assert len(some["trained"]) == round(0.5 * ROOMS * 3 * 3)
    with torch.no_grad():
        expected = steps_of(whole.model(**all_blocks), all_blocks["inside"])[places]
        torch.testing.assert_close(steps_of(half.model(**some), some["inside"]), expected)


@given(st.data())
def test_valuable_states_are_those_a_search_finds(data):
    count, horizon = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 9))
    steps, reach = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 12))
    row = st.lists(st.integers(0, 1), min_size=horizon, max_size=horizon)
    rewards = np.array(data.draw(st.lists(row, min_size=count, max_size=count)), dtype=np.float32)
    positions = np.arange(count * (horizon + 1) * 2).reshape(count, horizon + 1, 2)
    starts = np.arange(0, horizon, steps)
    lengths = np.array(data.draw(st.lists(st.integers(1, horizon), min_size=count, max_size=count)))
    found = valuable_states(positions, rewards, lengths, starts, reach)
    for episode in range(count):
        for number, start in enumerate(starts[starts < lengths[episode]]):
            best, chosen = Fraction(-1), None
            for later in range(start + 1, min(start + reach, lengths[episode]) + 1):
                value = Fraction(int(rewards[episode, start:later].sum()), int(later - start))
                if value >= best:
                    best, chosen = value, later
            np.testing.assert_array_equal(found[episode, number], positions[episode, chosen])
