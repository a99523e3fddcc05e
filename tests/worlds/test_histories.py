"""Learning histories end near the optimum, record their split, and are the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.seeds import stream
from bench.worlds.gridworld.data import evenly_spaced, load, make, split_tasks
from bench.worlds.gridworld.tasks import all_goals, optimal_return, task_count
from bench.worlds.gridworld.world import ACTIONS, WORLDS, goal_columns, make_rooms

SMALL = {"room_side": 5, "train_tasks": 6, "test_tasks": 4, "horizon": 8, "history_steps": 4800}
LARGE = [f"large-{world}" for world in WORLDS]


def options(task="darkroom", **changes):
    return defaults(CATALOGUE, task, None) | changes


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """The 7 x 7 room: (facts for the sidecar, histories, options)."""
    folder = tmp_path_factory.mktemp("room")
    chosen = options(room_side=7, train_tasks=36, test_tasks=13, stored_episodes=10_000)
    return make(chosen, "darkroom", folder), load(folder), chosen


def test_the_last_tenth_is_near_the_optimum_and_the_first_is_not(room):
    facts, histories, chosen = room
    optimal = optimal_return("darkroom", 7, chosen["horizon"], histories.train_goals, (3, 3)).mean()
    tenth = histories.returns.shape[1] // 10
    last, first = histories.returns[:, -tenth:].mean(), histories.returns[:, :tenth].mean()
    assert last >= 0.9 * optimal
    assert first <= 0.5 * optimal
    assert (histories.returns.max(axis=1) <= 20).all()
    assert (facts["first_decile_return"], facts["last_decile_return"]) == (first, last)
    assert facts["optimal_return"] == optimal


def test_the_split_is_disjoint_complete_and_recorded(room):
    facts, histories, chosen = room
    train, test = ({tuple(goal) for goal in facts[name]} for name in ("train_tasks", "test_tasks"))
    assert (len(train), len(test)) == (36, 13)
    assert train | test == {tuple(goal) for goal in all_goals("darkroom", 7).tolist()}
    assert facts["train_tasks"] == histories.train_goals.tolist()
    assert facts["test_tasks"] == histories.test_goals.tolist()
    assert facts["transitions"] == histories.actions.size == 36 * 20 * (chosen["history_steps"] // (36 * 20))
    assert facts["episodes_per_task"] == facts["stored_episodes_per_task"] == histories.actions.shape[1]


@pytest.mark.parametrize("task", [*WORLDS, *LARGE])
def test_no_task_is_drawn_twice(task):
    chosen = options(task)
    train, test = split_tasks(chosen, stream("data", "split", task))
    assert train.shape == (60, goal_columns(chosen["world"]))
    assert len({tuple(goal) for goal in [*train.tolist(), *test.tolist()]}) == 60 + len(test) == 81


@pytest.mark.parametrize("task", WORLDS)
def test_a_history_is_what_the_room_answers_to_its_actions(tmp_path, task):
    chosen = options(task, **SMALL)
    make(chosen, task, tmp_path)
    histories = load(tmp_path)
    assert histories.actions.min() >= 0
    assert histories.actions.max() == ACTIONS - 1
    room = make_rooms(chosen, histories.train_goals)
    for episode in range(0, histories.actions.shape[1], 9):
        np.testing.assert_array_equal(histories.positions[:, episode, 0], room.reset())
        for t in range(8):
            position, reward, _ = room.step(histories.actions[:, episode, t].astype(np.int64))
            np.testing.assert_array_equal(histories.positions[:, episode, t + 1], position)
            np.testing.assert_array_equal(histories.rewards[:, episode, t], reward)


@pytest.mark.parametrize("task", WORLDS)
def test_in_each_world_the_learner_comes_near_the_optimum(tmp_path, task):
    size = {"room_side": 5, "train_tasks": 12, "test_tasks": 4, "history_steps": 150_000}
    facts = make(options(task, **size), task, tmp_path)
    assert facts["last_decile_return"] >= 0.9 * facts["optimal_return"]
    assert facts["first_decile_return"] <= 0.6 * facts["last_decile_return"]
    assert facts["solved_tasks"] >= 0.9


WIDE = {"room_side": 16, "train_tasks": 60, "test_tasks": 4, "horizon": 80, "history_steps": 2_400_000}


@pytest.mark.parametrize("task", LARGE)
def test_the_settings_of_large_rooms_lead_to_the_optimum(tmp_path, task):
    facts = make(options(task, **WIDE, stored_episodes=10), task, tmp_path)
    assert facts["last_decile_return"] >= 0.95 * facts["optimal_return"]
    assert facts["first_decile_return"] <= 0.3 * facts["last_decile_return"]


def test_values_that_begin_above_zero_find_what_a_random_walk_misses(tmp_path):
    earned = []
    for value in (0.0, options("large-dark-key-to-door")["initial_value"]):
        chosen = options("large-dark-key-to-door", **WIDE, initial_value=value, stored_episodes=10)
        earned.append(make(chosen, "large-dark-key-to-door", tmp_path)["last_decile_return"])
    assert earned[1] >= earned[0] + 0.1


def test_a_stored_subset_is_evenly_spaced_and_rises_in_time(tmp_path):
    wanted = options(**SMALL)  # 4800 steps are 100 episodes of each of the six tasks
    stored = {}
    for count in (100, 23, 1):
        folder = tmp_path / str(count)
        folder.mkdir()
        facts = make(wanted | {"stored_episodes": count}, "darkroom", folder)
        stored[count] = load(folder)
        assert facts["stored_episodes_per_task"] == stored[count].actions.shape[1] == count
        assert (facts["episodes_per_task"], facts["transitions"]) == (100, 4800)
    numbers = evenly_spaced(100, 23)
    assert numbers[[0, -1]].tolist() == [0, 99]
    assert set(np.diff(numbers).tolist()) == {4, 5}
    for field in ("positions", "actions", "rewards"):
        whole, part = getattr(stored[100], field), getattr(stored[23], field)
        np.testing.assert_array_equal(part, whole[:, numbers], err_msg=field)
        np.testing.assert_array_equal(getattr(stored[1], field), whole[:, :1], err_msg=field)


def test_the_same_task_gives_the_same_bytes_and_another_gives_others(tmp_path):
    written = []
    for name, task in (("first", "darkroom"), ("again", "darkroom"), ("other", "large-darkroom")):
        (tmp_path / name).mkdir()
        make(options(**SMALL), task, tmp_path / name)
        written.append((tmp_path / name / "histories.npz").read_bytes())
    assert written[0] == written[1]
    assert written[0] != written[2]


@pytest.mark.parametrize(("world", "count"), [("darkroom", 9), ("darkroom-dynamic", 120)])
def test_more_tasks_than_the_room_has(world, count):
    assert task_count(world, 3) == count
    chosen = options(world=world, room_side=3, train_tasks=count - 1, test_tasks=2)
    message = (
        rf"^train_tasks \+ test_tasks = {count + 1}, but a room of side 3 has only {count} tasks of {world}; "
        r"ask for fewer or take another room$"
    )
    with pytest.raises(ValueError, match=message):
        split_tasks(chosen, stream("data", "split", "darkroom"))
    train, test = split_tasks(chosen | {"test_tasks": 1}, stream("data", "split", "darkroom"))
    assert (len(train), len(test)) == (count - 1, 1)


def test_fewer_steps_than_an_episode_of_each_task(tmp_path):
    message = (
        r"^history_steps = 1000 is less than one episode of 20 steps in each of 60 tasks; "
        r"ask for 1200 or more$"
    )
    with pytest.raises(ValueError, match=message):
        make(options(history_steps=1000), "darkroom", tmp_path)
