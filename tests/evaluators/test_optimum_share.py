"""Returns of online tests as shares of the optimum: one who knows its task has all of it, always."""

from __future__ import annotations

import numpy as np
import pytest
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.evaluators.in_context import evaluate
from bench.worlds.gridworld import test as rooms
from bench.worlds.gridworld.oracle import STAY, optimal_actions
from bench.worlds.gridworld.tasks import all_goals
from bench.worlds.gridworld.world import ACTIONS, PERMUTATIONS, WORLDS
from bench.worlds.mujoco import test as robots
from bench.worlds.tmaze import test as mazes

SIDE = 5


class Rooms:
    """The dark rooms' test, which shows its world to the agents below."""

    CONSECUTIVE = True
    scores = staticmethod(rooms.scores)
    optimal_returns = staticmethod(rooms.optimal_returns)

    def make_world(self, options, task, seed, facts):
        self.world = rooms.make_world(options, task, seed, facts)
        return self.world


class Agent:
    """Acts as `choose(room, episode)` says, with the number of the test episode from 1 on."""

    def __init__(self, test, choose):
        self.test, self.choose, self.episode = test, choose, 0

    def policy(self, trial):
        return self

    def begin(self, past):
        self.episode += 1

    def act(self, seen):
        return self.choose(self.test.world, self.episode)

    def observe(self, rewards):
        pass


def knows_the_task(room, episode):
    """The first action on a shortest way to what pays next, undone where a room permutes the actions."""
    rules = "darkroom" if room.permuted else room.world
    wanted = optimal_actions(rules, room.position, room.goals[:, : 2 + 2 * (room.goals.shape[1] == 4)],
                             room.collected[:, 0]).argmax(axis=1)  # fmt: skip
    if not room.permuted:
        return wanted
    return np.argmax(PERMUTATIONS[room.goals[:, 2]] == wanted[:, None], axis=1)


def stays(room, episode):
    """Where it stands; in a room that permutes the actions, by the one that does that."""
    still = np.full(room.count, STAY)
    return np.argmax(PERMUTATIONS[room.goals[:, 2]] == STAY, axis=1) if room.permuted else still


def shares(world, choose, goals=None, **changes):
    """Metric -> values by index of a test in rooms of five cells a side."""
    options = defaults(CATALOGUE, "darkroom", "ad-mamba") | {
        "world": world, "room_side": SIDE, "horizon": 12, "evaluation_environments": 120, "episodes": 8,
    } | changes  # fmt: skip
    tested = all_goals(world, SIDE)[::3] if goals is None else np.array(goals)
    test = Rooms()
    rows = evaluate(Agent(test, choose), test, options, "darkroom", 0, {"test_tasks": tested.tolist()})
    found = {}
    for metric, _, value in rows:
        found.setdefault(metric, []).append(value)
    return found


@pytest.mark.parametrize("start", ["centre", "corner", "random"])
@pytest.mark.parametrize("world", WORLDS)
def test_one_who_knows_its_task_has_the_whole_optimum_in_all_episodes_and_gains_nothing(world, start):
    found = shares(world, knows_the_task, start=start, horizon=20)
    assert found["optimum_share"] == pytest.approx([1.0] * 8)
    assert found["first_optimum_share"] == found["late_optimum_share"] == pytest.approx([1.0])
    assert found["in_context_gain"] == pytest.approx([0.0])


@pytest.mark.parametrize("world", WORLDS)
def test_acting_at_random_earns_a_part_of_it_and_no_more_in_the_last_episodes(world):
    generator = np.random.default_rng(0)
    found = shares(
        world,
        lambda room, episode: generator.integers(ACTIONS, size=room.count),
        evaluation_environments=3000,
    )
    assert 0.02 < min(found["optimum_share"]) < max(found["optimum_share"]) < 0.6
    assert found["in_context_gain"] == pytest.approx([0.0], abs=0.03)


def test_what_is_learnt_in_context_is_the_gain_from_the_first_to_the_last_five():
    # It stands on one of the two goals already.
    def learns(room, episode):
        return knows_the_task(room, episode) if episode > 4 else stays(room, episode)

    found = shares("darkroom", learns, goals=[[0, 0], [2, 2]], start="centre", evaluation_environments=2)
    assert found["optimum_share"] == [0.5] * 4 + [1.0] * 4
    assert found["first_optimum_share"] == [0.5]
    assert found["late_optimum_share"] == pytest.approx([(0.5 + 4 * 1.0) / 5])
    assert found["in_context_gain"] == pytest.approx([(0.5 + 4 * 1.0) / 5 - 0.5])


def test_shares_are_averaged_over_tasks_so_that_a_distant_goal_weighs_as_much_as_a_near_one():
    # Of six steps. A step late to a goal four steps away: two of three rewards.
    # Off the goal it stands on, and back: five of six.
    def dawdles(room, episode):
        first = np.where(room.goals[:, 0] == 2, 0, STAY)
        return first if room.time == 0 else knows_the_task(room, episode)

    found = shares("darkroom", dawdles, goals=[[0, 0], [2, 2]], horizon=6, evaluation_environments=2)
    assert found["optimum_share"] == pytest.approx([(2 / 3 + 5 / 6) / 2] * 8)
    assert found["episode_return"] == pytest.approx([(2 + 5) / 2] * 8)


def test_a_key_without_its_door_is_half_of_what_there_is():
    def takes_the_key(room, episode):
        return np.where(room.collected[:, 0], STAY, knows_the_task(room, episode))

    found = shares("dark-key-to-door", takes_the_key, goals=[[2, 0, 0, 0], [0, 2, 4, 4]])
    assert found["optimum_share"] == [0.5] * 8
    # Beyond what the steps allow the door counts for nothing: two steps reach the key alone.
    found = shares("dark-key-to-door", takes_the_key, goals=[[2, 0, 4, 4]], horizon=2)
    assert found["optimum_share"] == [1.0] * 8


def test_a_task_that_nobody_can_be_paid_in_is_left_out():
    found = shares("darkroom", knows_the_task, goals=[[2, 2], [0, 0]], horizon=3)
    assert found["optimum_share"] == [1.0] * 8
    found = shares("darkroom", knows_the_task, goals=[[0, 0]], horizon=3)
    assert "optimum_share" not in found
    assert "in_context_gain" not in found


def test_of_two_episodes_the_second_is_the_last():
    def second_only(room, episode):
        return knows_the_task(room, episode) if episode == 2 else stays(room, episode)

    found = shares("darkroom-hard", second_only, goals=[[0, 0]], episodes=2)
    assert (found["first_optimum_share"], found["late_optimum_share"]) == ([0.0], [1.0])
    assert found["in_context_gain"] == [1.0]


@pytest.mark.parametrize("test", [robots, mazes])
def test_a_test_whose_optimum_is_not_known_has_no_shares(test):
    assert not hasattr(test, "optimal_returns")
