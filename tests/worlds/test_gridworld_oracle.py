"""The oracle earns what a policy that knows the task can earn, and labels what it would do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.worlds.gridworld.oracle import action_labels, optimal_actions
from bench.worlds.gridworld.tasks import all_goals, optimal_return
from bench.worlds.gridworld.world import ACTIONS, MOVES, GridWorld, goal_columns

WORLDS = ("darkroom", "darkroom-hard", "dark-key-to-door")


def play(world, side, horizon, goals, start, choose):
    """Returns (rooms,) of episodes from `start` in which `choose` picks one of the optimal actions."""
    room = GridWorld(world, side, horizon, goals)
    room.position = np.tile(np.array(start), (len(goals), 1))
    earned = np.zeros(len(goals), np.float32)
    for _ in range(horizon):
        optimal = optimal_actions(world, room.position, goals, earned > 0)
        earned += room.step(choose(optimal))[1]
    return earned


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(WORLDS), st.integers(2, 4), st.integers(1, 9), st.integers(0, 3), st.data())
def test_any_choice_among_its_actions_earns_the_optimal_return(world, side, horizon, seed, data):
    goals = all_goals(world, side)
    start = data.draw(st.tuples(*[st.integers(0, side - 1)] * 2))
    best = optimal_return(world, side, horizon, goals, start)
    generator = np.random.default_rng(seed)

    def any_of(optimal):
        return (optimal * generator.random(optimal.shape)).argmax(axis=-1)

    def x_first(optimal):
        return action_labels(optimal, "x-first").argmax(axis=-1)

    for choose in (any_of, x_first):
        np.testing.assert_array_equal(play(world, side, horizon, goals, start, choose), best)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 6), st.data())
def test_an_action_is_optimal_if_and_only_if_it_comes_nearer_or_stays_there(side, data):
    cell = st.tuples(*[st.integers(0, side - 1)] * 2)
    position, goal = np.array(data.draw(cell)), np.array(data.draw(cell))
    optimal = optimal_actions("darkroom", position, goal, np.array(False))
    distance = np.abs(goal - position).sum()
    for action in range(ACTIONS):
        after = np.abs(goal - np.clip(position + MOVES[action], 0, side - 1)).sum()
        nearer = after == distance - 1 or (action == 4 and distance == 0)
        assert optimal[action] == nearer


def test_the_door_is_the_aim_once_the_key_was_taken():
    position, goals = np.array([2, 2]), np.array([0, 2, 2, 4])
    without = optimal_actions("dark-key-to-door", position, goals, np.array(False))
    with_key = optimal_actions("dark-key-to-door", position, goals, np.array(True))
    assert np.flatnonzero(without).tolist() == [0]
    assert np.flatnonzero(with_key).tolist() == [2]


def test_labels_are_along_x_first_or_even_over_all_that_is_optimal():
    optimal = optimal_actions(
        "darkroom", np.array([[1, 1], [1, 1], [1, 1]]), np.array([[3, 0], [1, 0], [1, 1]]), np.zeros(3, bool)
    )
    assert action_labels(optimal, "x-first").tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
    assert action_labels(optimal, "even").tolist() == [[0, 0.5, 0, 0.5, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]


@pytest.mark.parametrize("world", WORLDS)
def test_many_cells_and_tasks_are_labelled_at_once(world):
    generator = np.random.default_rng(0)
    positions = generator.integers(5, size=(7, 3, 2))
    goals = generator.integers(5, size=(7, 3, goal_columns(world)))
    rewarded = generator.integers(2, size=(7, 3)) == 1
    together = optimal_actions(world, positions, goals, rewarded)
    assert together.shape == (7, 3, ACTIONS)
    for row, column in np.ndindex(7, 3):
        alone = optimal_actions(world, positions[row, column], goals[row, column], rewarded[row, column])
        np.testing.assert_array_equal(together[row, column], alone)


def test_a_world_it_does_not_know_is_refused():
    with pytest.raises(ValueError, match=r"^world must be one of darkroom, .* got 'maze'$"):
        optimal_actions("maze", np.zeros(2), np.zeros(2), np.array(False))
