"""Rules of the T-maze, against one maze written out step by step."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from suites import CATALOGUE

from bench.worlds.tmaze.world import ACTIONS, OBSERVATIONS, TMaze, alternating_goals, episode_length

STEPS = {0: (1, 0), 1: (0, 1), 2: (-1, 0), 3: (0, -1)}


class PlainMaze:
    """One maze by the rules as the text gives them: a set of free cells, plain numbers."""

    def __init__(self, corridor: int, oracle: int, goal: int, penalty: float) -> None:
        self.oracle, self.goal, self.penalty = oracle, goal, penalty
        self.end, self.horizon = oracle + corridor, corridor + 2 * oracle + 1
        self.free = {(x, 0) for x in range(self.end + 1)} | {(self.end, 1), (self.end, -1)}
        self.cell, self.time, self.seen_oracle = (oracle, 0), 0, False

    def look(self) -> list[float]:
        if self.cell[0] == self.end:
            return [1.0, float(self.cell[1])]
        if self.cell[0] == 0 and not self.seen_oracle:
            self.seen_oracle = True
            return [0.0, float(self.goal)]
        return [0.0, 0.0]

    def step(self, action: int) -> tuple[list[float], float, bool]:
        moved = (self.cell[0] + STEPS[action][0], self.cell[1] + STEPS[action][1])
        if moved in self.free:
            self.cell = moved
        self.time += 1
        if self.time == self.horizon:
            return self.look(), float(self.cell[1] == self.goal), True
        late = self.cell[0] < self.time - self.oracle
        return self.look(), self.penalty if late else 0.0, False


@st.composite
def walks(draw):
    """(corridor, oracle, goals, penalty, actions (horizon, mazes)), mostly to the right."""
    corridor, oracle = draw(st.integers(1, 6)), draw(st.integers(0, 3))
    count, steps = draw(st.integers(1, 4)), corridor + 2 * oracle + 1
    goals = draw(st.lists(st.sampled_from([1, -1]), min_size=count, max_size=count))
    action = st.sampled_from([0, 0, 0, 1, 2, 3])
    row = st.lists(action, min_size=count, max_size=count)
    actions = draw(st.lists(row, min_size=steps, max_size=steps))
    penalty = draw(st.sampled_from([0.0, -0.5, -0.125]))
    return corridor, oracle, np.array(goals), penalty, np.array(actions)


@given(walks())
def test_every_step_is_as_the_rules_say(walk):
    corridor, oracle, goals, penalty, actions = walk
    batch = TMaze(corridor, oracle, goals, penalty)
    plain = [PlainMaze(corridor, oracle, int(goal), penalty) for goal in goals]
    assert batch.reset().tolist() == [maze.look() for maze in plain]
    for step in actions:
        seen, rewards, over = batch.step(step)
        wanted = [maze.step(int(action)) for maze, action in zip(plain, step, strict=True)]
        assert seen.tolist() == [look for look, _, _ in wanted]
        assert rewards.tolist() == [reward for _, reward, _ in wanted]
        assert over.tolist() == [end for _, _, end in wanted]
    assert over.all()
    with pytest.raises(RuntimeError, match=r"the episode is over: call reset\(\) before step\(\)"):
        batch.step(actions[0])


def play(corridor, oracle, goal, actions, penalty=0.0):
    """Observations with the first one, and rewards, of one maze."""
    maze = TMaze(corridor, oracle, np.array([goal]), penalty)
    played = [maze.step(np.array([action])) for action in actions]
    return [maze.reset()[0].tolist(), *(seen[0].tolist() for seen, _, _ in played)], [
        float(rewards[0]) for _, rewards, _ in played
    ]


def test_the_passive_maze_tells_its_goal_at_the_start_and_pays_in_the_right_arm():
    seen, rewards = play(2, 0, -1, [0, 0, 3])
    assert seen == [[0, -1], [0, 0], [1, 0], [1, -1]]
    assert rewards == [0, 0, 1]
    assert play(2, 0, -1, [0, 0, 1])[1] == [0, 0, 0]


def test_the_active_maze_tells_its_goal_to_who_walks_back_and_only_once():
    seen, rewards = play(2, 1, 1, [2, 0, 0, 0, 1])
    assert seen == [[0, 0], [0, 1], [0, 0], [0, 0], [1, 0], [1, 1]]
    assert rewards == [0, 0, 0, 0, 1]
    assert play(2, 1, 1, [2, 2, 0, 2, 0])[0] == [[0, 0], [0, 1], [0, 0], [0, 0], [0, 0], [0, 0]]


def test_a_step_behind_schedule_costs_the_penalty_and_the_last_step_never_does():
    assert play(2, 0, 1, [0, 2, 0], penalty=-0.5)[1] == [0, -0.5, 0]
    assert play(2, 1, 1, [2, 0, 0, 0, 1], penalty=-0.5)[1] == [0, 0, 0, 0, 1], "the best way is in time"
    assert play(2, 1, 1, [1, 1, 1, 1, 1], penalty=-0.5)[1] == [0, 0, -0.5, -0.5, 0], "the start is x = 1"


def test_walls_keep_the_agent_where_it_is():
    blocked, _ = play(3, 0, 1, [1, 3, 2, 0])
    assert blocked == [[0, 1], [0, 0], [0, 0], [0, 0], [0, 0]]
    in_the_arm, _ = play(1, 1, 1, [0, 1, 1, 0])
    assert in_the_arm[2:] == [[1, 1], [1, 1], [1, 1]]


def test_the_same_actions_give_the_same_episode_after_each_reset():
    maze = TMaze(4, 1, alternating_goals(6), -0.25)
    actions = np.random.default_rng(0).choice([0, 0, 0, 1, 2, 3], size=(maze.horizon, 6))
    episodes = []
    for _ in range(2):
        first = maze.reset()
        episodes.append([first, *(part for step in actions for part in maze.step(step)[:2])])
    for one, other in zip(*episodes, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("oracle", [0, 1])
def test_ten_thousand_mazes_equal_single_mazes(oracle):
    generator = np.random.default_rng(0)
    goals = generator.choice([1, -1], size=10_000)
    batch = TMaze(9, oracle, goals, -0.5)
    actions = generator.choice(4, size=(batch.horizon, 10_000), p=[0.7, 0.1, 0.1, 0.1])
    actions[:, ::5] = 0
    actions[-1, ::5] = 1  # some reach an arm, so that the last reward is at work
    steps = [batch.step(step) for step in actions]
    for row in range(10_000):
        single = PlainMaze(9, oracle, int(goals[row]), -0.5)
        single.look()
        for step, (seen, rewards, over) in zip(actions, steps, strict=True):
            assert single.step(int(step[row])) == (seen[row].tolist(), rewards[row], over[row])
    assert 500 < sum(int((rewards == 1).sum()) for _, rewards, _ in steps) < 5000


def test_the_longest_maze_of_the_paper():
    goals = alternating_goals(4)
    maze = TMaze(20_000, 0, goals)
    for _ in range(20_000):
        seen, rewards, over = maze.step(np.zeros(4, np.int64))
        assert not over.any()
    assert seen.tolist() == [[1, 0]] * 4
    _, rewards, over = maze.step(np.where(goals == 1, 1, 3))
    assert over.all()
    assert rewards.tolist() == [1, 1, 1, 1]


def test_shapes_and_types():
    maze = TMaze(3, 0, alternating_goals(5))
    seen, rewards, over = maze.step(np.full(5, ACTIONS - 1))
    assert (seen.shape, seen.dtype) == ((5, OBSERVATIONS), np.float32)
    assert (rewards.shape, rewards.dtype, over.tolist()) == ((5,), np.float32, [False] * 5)
    assert alternating_goals(5).tolist() == [1, -1, 1, -1, 1]


def test_every_declared_task_has_the_length_of_its_maze():
    catalogue = CATALOGUE
    tasks = [task for task in catalogue.tasks.values() if task.environment == "tmaze"]
    assert len(tasks) == 14
    for task in tasks:
        values = {key: option.default for key, option in task.environment_options.items()} | task.values
        lengths = values["corridor_length"], values["oracle_length"]
        assert values["max_episode_steps"] == episode_length(*lengths), task.name
        assert (values["observation_dim"], values["action_dim"]) == (OBSERVATIONS, ACTIONS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"corridor_length": 0},
            "corridor_length must be at least 1 and oracle_length at least 0, got 0 and 0",
        ),
        (
            {"oracle_length": -1},
            "corridor_length must be at least 1 and oracle_length at least 0, got 3 and -1",
        ),
        ({"penalty": 0.5}, "penalty must be at most 0, got 0.5"),
        (
            {"goals": np.array([0, 1])},
            "goals must have shape (mazes,) and be 1 or -1, got shape (2,) with values [0, 1]",
        ),
        (
            {"goals": np.array([[1]])},
            "goals must have shape (mazes,) and be 1 or -1, got shape (1, 1) with values [1]",
        ),
    ],
)
def test_messages(arguments, message):
    valid = {"corridor_length": 3, "oracle_length": 0, "goals": np.array([1])}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        TMaze(**(valid | arguments))
