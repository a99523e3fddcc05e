"""Learning histories end near the optimum, record their split, and are the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from bench.datasets.histories import load, make, split_tasks
from bench.envs.gridworld import ACTIONS, GridWorld, all_goals, optimal_return
from bench.spec.cells import defaults
from bench.spec.seeds import stream

SMALL = {"room_side": 5, "train_tasks": 6, "test_tasks": 4, "horizon": 8, "history_steps": 4800}


def options(task="darkroom", **changes):
    return defaults(task, None) | changes


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """The 7 x 7 room: (facts for the sidecar, histories, options)."""
    folder = tmp_path_factory.mktemp("room")
    chosen = options(room_side=7, train_tasks=36, test_tasks=13)
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


def test_the_split_is_disjoint_complete_and_recorded(room):
    facts, histories, chosen = room
    train, test = ({tuple(goal) for goal in facts[name]} for name in ("train_tasks", "test_tasks"))
    assert (len(train), len(test)) == (36, 13)
    assert train | test == {tuple(goal) for goal in all_goals("darkroom", 7).tolist()}
    assert facts["train_tasks"] == histories.train_goals.tolist()
    assert facts["test_tasks"] == histories.test_goals.tolist()
    assert facts["transitions"] == histories.actions.size == 36 * 20 * (chosen["history_steps"] // (36 * 20))
    assert facts["episodes_per_task"] == histories.actions.shape[1]


@pytest.mark.parametrize("task", ["darkroom", "darkroom-hard", "dark-key-to-door"])
def test_a_history_is_what_the_room_answers_to_its_actions(tmp_path, task):
    chosen = options(task, **SMALL)
    make(chosen, task, tmp_path)
    histories = load(tmp_path)
    assert histories.actions.min() >= 0
    assert histories.actions.max() == ACTIONS - 1
    room = GridWorld(chosen["world"], 5, 8, histories.train_goals)
    for episode in range(0, histories.actions.shape[1], 9):
        np.testing.assert_array_equal(histories.positions[:, episode, 0], room.reset())
        for t in range(8):
            position, reward, _ = room.step(histories.actions[:, episode, t].astype(np.int64))
            np.testing.assert_array_equal(histories.positions[:, episode, t + 1], position)
            np.testing.assert_array_equal(histories.rewards[:, episode, t], reward)


def test_the_learner_learns_to_fetch_the_key_and_then_the_door(tmp_path):
    chosen = options("dark-key-to-door", room_side=4, train_tasks=12, test_tasks=4, history_steps=120_000)
    facts = make(chosen, "dark-key-to-door", tmp_path)
    assert facts["last_decile_return"] >= 1.8
    assert facts["first_decile_return"] < facts["last_decile_return"] - 0.3


def test_the_same_task_gives_the_same_bytes_and_another_gives_others(tmp_path):
    written = []
    for name, task in (("first", "darkroom"), ("again", "darkroom"), ("other", "large-darkroom")):
        (tmp_path / name).mkdir()
        make(options(**SMALL), task, tmp_path / name)
        written.append((tmp_path / name / "histories.npz").read_bytes())
    assert written[0] == written[1]
    assert written[0] != written[2]


def test_more_tasks_than_the_room_has():
    chosen = options(room_side=3, train_tasks=8, test_tasks=2)
    message = (
        r"^train_tasks \+ test_tasks = 10, but a room of side 3 has only 9 tasks of darkroom; "
        r"ask for fewer or take a larger room$"
    )
    with pytest.raises(ValueError, match=message):
        split_tasks(chosen, stream("data", "split", "darkroom"))
    train, test = split_tasks(chosen | {"test_tasks": 1}, stream("data", "split", "darkroom"))
    assert (len(train), len(test)) == (8, 1)
