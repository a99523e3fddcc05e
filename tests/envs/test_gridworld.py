"""Rules of the dark rooms, against a room written out step by step."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.envs.gridworld import ACTIONS, WORLDS, GridWorld, all_goals, goal_columns, optimal_return

STEPS = {0: (-1, 0), 1: (1, 0), 2: (0, 1), 3: (0, -1), 4: (0, 0)}


class PlainRoom:
    """One room by the rules as the text gives them: plain integers, no arrays."""

    def __init__(self, world: str, side: int, goal: tuple[int, ...], start: tuple[int, int]) -> None:
        self.world, self.side, self.goal = world, side, goal
        self.cell, self.found, self.has_key, self.opened = start, False, False, False

    def step(self, action: int) -> float:
        moved = (self.cell[0] + STEPS[action][0], self.cell[1] + STEPS[action][1])
        if 0 <= moved[0] < self.side and 0 <= moved[1] < self.side:
            self.cell = moved
        if self.world == "dark-key-to-door":
            if not self.has_key:
                self.has_key = self.cell == self.goal[:2]
                return float(self.has_key)
            if not self.opened:
                self.opened = self.cell == self.goal[2:]
                return float(self.opened)
            return 0.0
        if self.cell != self.goal or (self.world == "darkroom-hard" and self.found):
            return 0.0
        self.found = True
        return 1.0


@st.composite
def rooms(draw):
    """(world, side, goals of a few rooms, actions (steps, rooms))."""
    world, side = draw(st.sampled_from(WORLDS)), draw(st.integers(2, 5))
    count, steps = draw(st.integers(1, 4)), draw(st.integers(1, 25))
    cells = st.lists(st.integers(0, side - 1), min_size=goal_columns(world), max_size=goal_columns(world))
    goals = draw(st.lists(cells, min_size=count, max_size=count))
    row = st.lists(st.integers(0, ACTIONS - 1), min_size=count, max_size=count)
    return world, side, np.array(goals), np.array(draw(st.lists(row, min_size=steps, max_size=steps)))


@given(rooms(), st.sampled_from(["centre", "corner"]))
def test_every_step_is_as_the_rules_say(room, start):
    world, side, goals, actions = room
    batch = GridWorld(world, side, len(actions), goals, start)
    origin = (side // 2, side // 2) if start == "centre" else (0, 0)
    plain = [PlainRoom(world, side, tuple(goal.tolist()), origin) for goal in goals]
    assert batch.reset().tolist() == [list(origin)] * len(goals)
    for t, step in enumerate(actions):
        positions, rewards, over = batch.step(step)
        assert rewards.tolist() == [room.step(int(action)) for room, action in zip(plain, step, strict=True)]
        assert positions.tolist() == [list(room.cell) for room in plain]
        assert over == (t == len(actions) - 1)
    with pytest.raises(RuntimeError, match=r"the episode is over: call reset\(\) before step\(\)"):
        batch.step(actions[0])


def play(world, goal, actions, side=5, start="corner"):
    room = GridWorld(world, side, len(actions), np.array([goal]), start)
    return [float(room.step(np.array([action]))[1][0]) for action in actions]


def test_darkroom_pays_at_every_step_on_the_goal():
    assert play("darkroom", (1, 0), [1, 4, 4, 1, 0]) == [1, 1, 1, 0, 1]
    assert play("darkroom", (0, 0), [4, 0, 3, 1]) == [1, 1, 1, 0], "walls keep the agent on the goal"


def test_darkroom_hard_pays_once():
    assert play("darkroom-hard", (1, 0), [1, 4, 0, 1]) == [1, 0, 0, 0]


def test_the_door_pays_only_after_the_key_and_each_once():
    assert play("dark-key-to-door", (2, 0, 1, 0), [1, 1, 0, 1, 0]) == [0, 1, 1, 0, 0]
    assert play("dark-key-to-door", (1, 0, 1, 0), [1, 4, 4]) == [1, 1, 0], "key and door on one cell"


def test_a_new_episode_pays_anew():
    room = GridWorld("darkroom-hard", 3, 1, np.array([[1, 1]]), "centre")
    for _ in range(2):
        room.reset()
        assert room.step(np.array([4]))[1] == 1.0


@pytest.mark.parametrize("world", WORLDS)
def test_ten_thousand_rooms_equal_single_rooms(world):
    generator = np.random.default_rng(0)
    goals = generator.integers(9, size=(10_000, goal_columns(world)))
    goals[::7, :2] = 4  # goals that are met at once, so that every rule is at work
    actions = generator.integers(ACTIONS, size=(30, 10_000))
    batch = GridWorld(world, 9, 30, goals)
    steps = [batch.step(step) for step in actions]
    for room in range(0, 10_000, 97):
        single = GridWorld(world, 9, 30, goals[room : room + 1])
        for step, (positions, rewards, over) in zip(actions, steps, strict=True):
            alone = single.step(step[room : room + 1])
            assert (alone[0][0].tolist(), alone[1][0], alone[2]) == (
                positions[room].tolist(),
                rewards[room],
                over,
            )
    assert sum(rewards.sum() for _, rewards, _ in steps) > 1000


def test_random_starts_are_drawn_for_each_episode_from_the_generator():
    goals = np.zeros((200, 2), np.int64)
    starts = [GridWorld("darkroom", 4, 5, goals, "random", np.random.default_rng(3)) for _ in range(2)]
    first, second = starts[0].reset(), starts[0].reset()
    np.testing.assert_array_equal(first, starts[1].reset())
    assert (first != second).any()
    assert {tuple(cell) for cell in first.tolist()} == {(x, y) for x in range(4) for y in range(4)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"world": "darkrom"},
            "world must be one of darkroom, darkroom-hard, dark-key-to-door, got 'darkrom'",
        ),
        ({"start": "middle"}, "start must be centre, corner, or random with a generator, got 'middle'"),
        ({"start": "random"}, "start must be centre, corner, or random with a generator, got 'random'"),
        ({"goals": np.zeros((3, 4), int)}, "goals of darkroom must have shape (rooms, 2), got (3, 4)"),
        ({"goals": np.zeros(2, int)}, "goals of darkroom must have shape (rooms, 2), got (2,)"),
        ({"goals": np.array([[0, 5]])}, "goals must lie in 0 ... 4, got 0 ... 5"),
        ({"goals": np.array([[-1, 2]])}, "goals must lie in 0 ... 4, got -1 ... 2"),
    ],
)
def test_messages(arguments, message):
    valid = {"world": "darkroom", "room_side": 5, "horizon": 3, "goals": np.zeros((1, 2), int)}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        GridWorld(**(valid | arguments))


@pytest.mark.parametrize(
    ("world", "count"), [("darkroom", 9), ("darkroom-hard", 9), ("dark-key-to-door", 72)]
)
def test_all_goals_are_all_and_each_once(world, count):
    goals = all_goals(world, 3)
    assert goals.shape == (count, goal_columns(world))
    assert len({tuple(goal) for goal in goals.tolist()}) == count


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("horizon", [3, 6])
def test_the_optimal_return_is_what_walking_straight_there_earns(world, horizon):
    goals = all_goals(world, 4)
    claimed = optimal_return(world, 4, horizon, goals, (2, 2))
    for goal, wanted in zip(goals.tolist(), claimed.tolist(), strict=True):
        room, earned = PlainRoom(world, 4, tuple(goal), (2, 2)), 0.0
        for _ in range(horizon):
            target = goal[2:] if room.has_key else goal[:2]
            way = [axis for axis in (0, 1) if room.cell[axis] != target[axis]]
            action = 4 if not way else {0: (0, 1), 1: (3, 2)}[way[0]][room.cell[way[0]] < target[way[0]]]
            earned += room.step(action)
        assert earned == wanted, f"goal {goal}"
