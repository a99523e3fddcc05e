"""Which tasks there are, and what each pays at most: against a search over every plan."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.worlds.gridworld.tasks import (
    all_goals,
    mean_optimal_returns,
    numbered_goals,
    optimal_return,
    task_count,
)
from bench.worlds.gridworld.world import MOVES, PERMUTATIONS, WORLDS, goal_columns, start_cells


def best_by_search(world, side, horizon, goal, start):
    """The most that any sequence of actions earns, by the rules alone and with no idea of distance."""
    moves = [tuple(move) for move in MOVES.tolist()]
    if goal_columns(world) == 3:
        moves = [moves[action] for action in PERMUTATIONS[goal[2]]]

    def rewarded(cell, taken):
        """(reward, one-time rewards taken after it) of a step that ends on the cell."""
        if world == "dark-key-to-door":
            hit = taken < 2 and cell == tuple(goal[2 * taken : 2 * taken + 2])
            return int(hit), taken + hit
        if world == "darkroom-hard":
            hit = taken == 0 and cell == tuple(goal[:2])
            return int(hit), taken + hit
        return int(cell == tuple(goal[:2])), 0

    @cache
    def best(cell, taken, t):
        if t == horizon:
            return 0
        found = 0
        for move in moves:
            reached = tuple(
                min(max(place + step, 0), side - 1) for place, step in zip(cell, move, strict=True)
            )
            reward, after = rewarded(reached, taken)
            found = max(found, reward + best(reached, after, t + 1))
        return found

    return best(tuple(start), 0, 0)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(WORLDS), st.integers(2, 5), st.integers(1, 12), st.data())
def test_no_sequence_of_actions_earns_more_and_one_earns_as_much(world, side, horizon, data):
    number = data.draw(st.integers(0, task_count(world, side) - 1))
    start = data.draw(st.tuples(*[st.integers(0, side - 1)] * 2))
    goals = numbered_goals(world, side, np.array([number]))
    claimed = optimal_return(world, side, horizon, goals, start)
    assert claimed.tolist() == [best_by_search(world, side, horizon, goals[0].tolist(), start)]


def test_the_goal_of_a_dynamic_room_is_the_far_corner_and_its_tasks_are_the_permutations():
    goals = all_goals("darkroom-dynamic", 9)
    assert goals[:, :2].tolist() == [[8, 8]] * 120
    assert goals[:, 2].tolist() == list(range(120))
    # Eight steps from the centre: of twenty the last thirteen pay.
    assert optimal_return("darkroom-dynamic", 9, 20, goals, (4, 4)).tolist() == [13] * 120


@pytest.mark.parametrize("start", ["centre", "corner", "random"])
def test_the_mean_optimum_is_over_the_cells_where_an_episode_begins(start):
    options = {"world": "darkroom", "room_side": 4, "horizon": 5, "start": start}
    goals = all_goals("darkroom", 4)
    starts = {"centre": [(2, 2)], "corner": [(0, 0)], "random": [(x, y) for x in range(4) for y in range(4)]}
    wanted = [optimal_return("darkroom", 4, 5, goals, cell) for cell in starts[start]]
    np.testing.assert_allclose(mean_optimal_returns(options, goals), np.mean(wanted, axis=0), rtol=1e-6)
    assert start_cells(start, 4).tolist() == [list(cell) for cell in starts[start]]


def test_a_start_outside_the_room():
    with pytest.raises(ValueError, match=r"^start must lie in 0 \.\.\. 3, got 0 \.\.\. 4$"):
        optimal_return("darkroom", 4, 5, np.array([[0, 0]]), (0, 4))


@pytest.mark.parametrize(
    ("world", "count"),
    [("darkroom", 9), ("darkroom-hard", 9), ("darkroom-dynamic", 120), ("dark-key-to-door", 9 * 8)],
)
def test_all_goals_are_all_and_each_once(world, count):
    goals = all_goals(world, 3)
    assert task_count(world, 3) == count
    assert goals.shape == (count, goal_columns(world))
    assert len({tuple(goal) for goal in goals.tolist()}) == count
    assert goals.min() >= 0
    assert goals.max(axis=0).tolist() == {2: [2, 2], 3: [2, 2, 119], 4: [2, 2, 2, 2]}[goals.shape[1]]
    if goals.shape[1] == 4:
        assert (goals[:, :2] != goals[:, 2:]).any(axis=1).all(), "two different cells"


def test_tasks_of_a_large_room_are_numbered_without_a_list_of_all():
    count = task_count("dark-key-to-door", 40)
    assert count == 1600 * 1599
    assert numbered_goals("dark-key-to-door", 40, np.array([0, count - 1])).tolist() == [
        [0, 0, 0, 1],
        [39, 39, 39, 38],
    ]
