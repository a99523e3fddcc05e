"""Rules of the dark rooms, against a room written out step by step."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.worlds.gridworld.world import (
    ACTIONS,
    PERMUTATIONS,
    PHASES,
    WORLDS,
    GridWorld,
    goal_columns,
    make_rooms,
)

STEPS = {0: (-1, 0), 1: (1, 0), 2: (0, 1), 3: (0, -1), 4: (0, 0)}


class PlainRoom:
    """One room by the rules as the text gives them: plain integers, no arrays."""

    def __init__(self, world: str, side: int, horizon: int, goal, start) -> None:
        self.world, self.side, self.horizon = world, side, horizon
        self.goal, self.cell, self.taken = tuple(goal), tuple(start), 0
        self.found, self.has_key, self.opened = False, False, False

    def step(self, action: int) -> float:
        if self.world == "darkroom-dynamic":
            action = list(itertools.permutations(range(5)))[self.goal[2]][action]
        moved = (self.cell[0] + STEPS[action][0], self.cell[1] + STEPS[action][1])
        if 0 <= moved[0] < self.side and 0 <= moved[1] < self.side:
            self.cell = moved
        self.taken += 1
        if self.world == "dark-key-to-door":
            return self.fetch()
        if self.cell != self.goal[:2] or (self.world == "darkroom-hard" and self.found):
            return 0.0
        self.found = True
        return 1.0

    def fetch(self) -> float:
        if not self.has_key:
            self.has_key = self.cell == self.goal[:2]
            return float(self.has_key)
        if not self.opened:
            self.opened = self.cell == self.goal[2:]
            return float(self.opened)
        return 0.0


def batch_of(world, side, horizon, goals, start="centre", generator=None):
    return GridWorld(world, side, horizon, np.array(goals), start, generator)


def random_goals(world, side, count, generator):
    goals = generator.integers(side, size=(count, goal_columns(world)))
    if goals.shape[1] == 3:
        goals[:, 2] = generator.integers(120, size=count)
    return goals


@st.composite
def rooms(draw):
    """(world, side, goals of a few rooms, actions (steps, rooms))."""
    world, side = draw(st.sampled_from(WORLDS)), draw(st.integers(2, 5))
    count, steps = draw(st.integers(1, 4)), draw(st.integers(1, 25))
    goals = random_goals(world, side, count, np.random.default_rng(draw(st.integers(0, 10_000))))
    row = st.lists(st.integers(0, ACTIONS - 1), min_size=count, max_size=count)
    return world, side, goals, np.array(draw(st.lists(row, min_size=steps, max_size=steps)))


@given(rooms(), st.sampled_from(["centre", "corner"]))
def test_every_step_is_as_the_rules_say(room, start):
    world, side, goals, actions = room
    batch = batch_of(world, side, len(actions), goals, start)
    origin = (side // 2, side // 2) if start == "centre" else (0, 0)
    plain = [PlainRoom(world, side, len(actions), goal, origin) for goal in goals.tolist()]
    assert batch.reset().tolist() == [list(origin)] * len(goals)
    for t, step in enumerate(actions):
        positions, rewards, over = batch.step(step)
        assert rewards.tolist() == [room.step(int(action)) for room, action in zip(plain, step, strict=True)]
        assert positions.tolist() == [list(room.cell) for room in plain]
        assert over.tolist() == [t == len(actions) - 1] * batch.count
    with pytest.raises(RuntimeError, match=r"the episode is over: call reset\(\) before step\(\)"):
        batch.step(actions[0])


@given(rooms())
def test_a_step_moves_one_cell_at_most_and_never_out_of_the_room(room):
    world, side, goals, actions = room
    batch = batch_of(world, side, len(actions), goals)
    before = batch.reset()
    for step in actions:
        after, rewards, _ = batch.step(step)
        assert (np.abs(after - before).sum(axis=1) <= 1).all()
        assert after.min() >= 0
        assert after.max() < side
        assert set(rewards.tolist()) <= {0.0, 1.0}
        before = after


@given(rooms())
def test_one_time_rewards_come_once_and_then_the_room_says_so(room):
    world, side, goals, actions = room
    batch = batch_of(world, side, len(actions), goals)
    batch.reset()
    most = {"darkroom-hard": 1, "dark-key-to-door": 2}.get(world)
    earned = np.zeros(len(goals))
    for step in actions:
        finished = batch.finished_reward()
        rewards = batch.step(step)[1]
        assert not rewards[finished].any()
        earned += rewards
        assert batch.finished_reward().tolist() == [most is not None and got == most for got in earned]
        assert (batch.phase() < PHASES).all()
        if most is not None:
            assert batch.phase().tolist() == earned.tolist(), "one-time rewards that were taken"


def play(world, goal, actions, side=5, start="corner"):
    room = batch_of(world, side, len(actions), [goal], start)
    return [float(room.step(np.array([action]))[1][0]) for action in actions]


def test_darkroom_pays_at_every_step_on_the_goal():
    assert play("darkroom", (1, 0), [1, 4, 4, 1, 0]) == [1, 1, 1, 0, 1]
    assert play("darkroom", (0, 0), [4, 0, 3, 1]) == [1, 1, 1, 0], "walls keep the agent on the goal"


def test_darkroom_hard_pays_once():
    assert play("darkroom-hard", (1, 0), [1, 4, 0, 1]) == [1, 0, 0, 0]


def test_the_door_pays_only_after_the_key_and_each_once():
    assert play("dark-key-to-door", (2, 0, 1, 0), [1, 1, 0, 1, 0]) == [0, 1, 1, 0, 0]
    assert play("dark-key-to-door", (1, 0, 1, 0), [1, 4, 4]) == [1, 1, 0], "key and door on one cell"


def test_a_permutation_says_what_each_action_does():
    assert sorted(PERMUTATIONS.tolist()) == [list(row) for row in itertools.permutations(range(5))]
    number = PERMUTATIONS.tolist().index([4, 0, 1, 2, 3])  # 0 stays, 2 goes right, 3 up
    assert play("darkroom-dynamic", (1, 1, number), [2, 3, 0, 1]) == [0, 1, 1, 0]
    assert play("darkroom-dynamic", (1, 1, 0), [1, 2, 4, 0]) == [0, 1, 1, 0], "row 0 changes nothing"


@pytest.mark.parametrize("world", WORLDS)
def test_a_new_episode_is_like_the_first(world):
    generator = np.random.default_rng(5)
    room = batch_of(world, 3, 12, random_goals(world, 3, 20, generator))
    actions = generator.integers(ACTIONS, size=(12, 20))
    first, second = [[room.reset().tolist(), *[room.step(a)[1].tolist() for a in actions]] for _ in range(2)]
    assert first == second
    assert np.sum(first[1:]) > 0


@pytest.mark.parametrize("world", WORLDS)
def test_ten_thousand_rooms_equal_single_rooms(world):
    generator = np.random.default_rng(0)
    goals = random_goals(world, 9, 10_000, generator)
    goals[::7, :2] = 4  # goals that are met at once, so that every rule is at work
    actions = generator.integers(ACTIONS, size=(20, 10_000))
    batch = batch_of(world, 9, 20, goals)
    steps = [batch.step(step) for step in actions]
    positions = np.stack([step[0] for step in steps])
    rewards = np.stack([step[1] for step in steps])
    for room in range(10_000):
        single = batch_of(world, 9, 20, goals[room : room + 1])
        for t in range(20 if room % 97 == 0 else 2):
            alone = single.step(actions[t, room : room + 1])
            assert (alone[0][0] == positions[t, room]).all()
            assert (alone[1][0], alone[2][0]) == (rewards[t, room], steps[t][2][room])
    assert rewards.sum() > 1000


def test_random_starts_are_drawn_for_each_episode_from_the_generator():
    goals = np.zeros((200, 2), np.int64)
    starts = [GridWorld("darkroom", 4, 5, goals, "random", np.random.default_rng(3)) for _ in range(2)]
    first, second = starts[0].reset(), starts[0].reset()
    np.testing.assert_array_equal(first, starts[1].reset())
    assert (first != second).any()
    assert {tuple(cell) for cell in first.tolist()} == {(x, y) for x in range(4) for y in range(4)}


def test_rooms_are_made_as_the_options_say():
    options = {"world": "dark-key-to-door", "room_side": 6, "horizon": 4, "start": "corner"}
    room = make_rooms(options, np.array([[0, 0, 1, 0]]))
    assert room.reset().tolist() == [[0, 0]]
    assert [room.step(np.array([a]))[1:] for a in (4, 4, 1, 4)] == [
        (1, False),
        (0, False),
        (1, False),
        (0, True),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"world": "darkrom"},
            "world must be one of darkroom, darkroom-hard, darkroom-dynamic, dark-key-to-door, got 'darkrom'",
        ),
        ({"start": "middle"}, "start must be centre, corner, or random with a generator, got 'middle'"),
        ({"start": "random"}, "start must be centre, corner, or random with a generator, got 'random'"),
        ({"goals": np.zeros((3, 4), int)}, "goals of darkroom must have shape (rooms, 2), got (3, 4)"),
        ({"goals": np.zeros(2, int)}, "goals of darkroom must have shape (rooms, 2), got (2,)"),
        ({"goals": np.array([[0, 5]])}, "goals must lie in 0 ... 4, got 0 ... 5"),
        ({"goals": np.array([[-1, 2]])}, "goals must lie in 0 ... 4, got -1 ... 2"),
        (
            {"world": "darkroom-dynamic", "goals": np.array([[1, 2, 120]])},
            "permutations must lie in 0 ... 119, got 120 ... 120",
        ),
    ],
)
def test_messages(arguments, message):
    valid = {"world": "darkroom", "room_side": 5, "horizon": 3, "goals": np.zeros((1, 2), int)}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        GridWorld(**(valid | arguments))
