"""DM-H's contexts of trajectories of similar return, packed as its authors' code does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from in_context_cases import TINY
from method_cases import some_histories, tiny_learner

from bench.datasets.trajectories import Trajectories, Trajectory
from bench.methods.dmh_contexts import drawn_by_length, packed

SMALL = TINY | {"normalise_states": False, "batch_size": 12, "context_packing": "similar"}


def trajectories(returns, lengths):
    """Trajectories of these returns and lengths; every state and action of trajectory i is i."""
    made = []
    for number, (earned, length) in enumerate(zip(returns, lengths, strict=True)):
        rewards = np.zeros(length)
        rewards[-1] = earned
        states = np.full((length + 1, 11), number)
        made.append(Trajectory.whole(states, np.full((length, 3), number / 100), rewards, terminated=True))
    return Trajectories.from_episodes(made)


def test_trajectories_are_drawn_by_length_in_the_order_of_return_without_the_best():
    dataset = trajectories([3.0, 9.0, 1.0, 2.0], [10, 10, 40, 30])
    drawn = drawn_by_length(dataset, 8_000, np.random.default_rng(0))
    assert (np.diff(dataset.returns[drawn]) >= 0).all()
    share = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(share, [10 / 80, 0.0, 40 / 80, 30 / 80], atol=0.02)


@given(blocks=st.lists(st.integers(1, 9), min_size=1, max_size=20), limit=st.integers(1, 30))
def test_neighbours_share_a_context_until_it_is_full(blocks, limit):
    drawn = np.arange(100, 100 + len(blocks))
    rows = packed(drawn, np.array(blocks), limit)
    kept = [row[row >= 0].tolist() for row in rows]
    assert [number for row in kept for number in row] == drawn.tolist(), "each once, in order"
    for number, row in enumerate(kept):
        held = [blocks[one - 100] for one in row]
        assert sum(held[:-1]) < limit
        assert sum(held) >= limit or number == len(kept) - 1
        assert (rows[number, : len(rows[number]) - len(row)] == -1).all(), "what is absent comes first"


def test_a_batch_reads_the_latest_blocks_of_similar_trajectories_and_trains_the_last_ones():
    learner = tiny_learner("hopper-medium", "dmh", SMALL, context_blocks=5, trained_episodes="last")
    lengths = [4, 7, 9, 5, 8, 6, 3, 9]
    learner.prepare(trajectories(range(8), lengths))
    batch = learner.draw(np.random.default_rng(3))
    contexts = batch["block_states"].shape[0]
    assert batch["block_states"].shape[1] <= 5
    assert contexts > 1
    last = batch["states"][:, 0, 0]
    assert (last.diff() >= 0).all(), "contexts, too, are in the order of return"
    assert last.max() < 7, "the best trajectory is put aside"
    row, place = (
        batch["trained"] // batch["block_states"].shape[1],
        batch["trained"] % batch["block_states"].shape[1],
    )
    assert row.unique().tolist() == list(range(contexts))
    assert torch.equal(batch["block_states"][row, place, 0], last), "a block stands where its state does"
    assert torch.isfinite(learner.loss(batch))


def test_histories_of_many_tasks_are_not_packed():
    learner = tiny_learner("darkroom", "dmh", TINY, context_packing="similar")
    learner.prepare(some_histories())
    with pytest.raises(ValueError, match="context_packing: learning histories are of many tasks"):
        learner.draw(np.random.default_rng(0))
