"""The waypoint controller and the walks that maze datasets are made of."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.datasets.trajectories import Trajectories
from bench.errors import UnavailableError
from bench.worlds.maze.data import collect, controller_returns, load, make
from bench.worlds.maze.waypoints import THERE, WaypointController, next_cells
from bench.worlds.maze.world import Layout, make_batch

TASKS = ["maze2d-umaze", "maze2d-medium", "maze2d-large"]


def options_of(task: str, **changes: object) -> dict:
    return defaults(CATALOGUE, task, "dt") | {"transitions": 6000} | changes


def walks(seed: int = 0, **changes: object) -> Trajectories:
    return Trajectories.from_episodes(collect(options_of("maze2d-umaze", **changes), seed))


@pytest.fixture(scope="module")
def small() -> Trajectories:
    return walks()


# The way


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=2, max_size=5))
def test_each_cell_of_a_way_is_a_neighbour_and_one_step_nearer(free: list[list[bool]]) -> None:
    layout = Layout(np.where(free, 0, 1))
    if len(layout.cells) == 0:
        return
    distance = distances(layout)
    if np.isinf(distance).any():
        with pytest.raises(ValueError, match="cannot be reached"):
            next_cells(layout)
        return
    following = next_cells(layout)
    for cell, goal in np.argwhere(np.ones_like(following)):
        after = following[cell, goal]
        if cell == goal:
            assert after == goal
        else:
            assert distance[cell, after] == 1
            assert distance[after, goal] == distance[cell, goal] - 1


def distances(layout: Layout) -> np.ndarray:
    """(cells, cells) steps between cells, by Floyd and Warshall."""
    steps = np.abs(layout.cells[:, None] - layout.cells).sum(axis=-1)
    found = np.where(steps <= 1, steps, np.inf)
    for middle in range(len(found)):
        found = np.minimum(found, found[:, [middle]] + found[[middle]])
    return found


@pytest.mark.parametrize("task", TASKS)
def test_the_controller_reaches_the_goal_in_nearly_all_episodes_and_stays(task: str) -> None:
    options = options_of(task)
    batch = make_batch(options, 32)
    states = batch.reset(range(32))
    controller = WaypointController(
        batch.layout, states[:, :2], [np.random.default_rng(ball) for ball in range(32)], spread=0.1
    )
    for ball in range(32):
        controller.send(ball, batch.goal_cell)
    while batch.alive.any():
        controller.arrived(states[:, :2])
        states, rewards, _, _ = batch.step(controller.act(states))
    assert rewards.mean() >= 0.95, "the last step is paid in nearly all"
    assert controller.arrived(states[:, :2]).mean() >= 0.95


@pytest.mark.parametrize("task", TASKS)
def test_the_controllers_return_is_at_least_d4rls_expert_score(task: str) -> None:
    """Which was measured with a controller that D4RL's users found to miss the goal in most episodes."""
    options = options_of(task)
    returns = controller_returns(options, 32, 0)
    assert options["reference_high"] < returns.mean() <= options["max_episode_steps"]


def test_a_disturbed_controller_still_arrives() -> None:
    legs = walks(trajectory_end="goal", action_noise=0.5, transitions=20_000)
    assert len(legs) > 150, "the mean leg takes well under 130 steps"


# The walks


def test_exact_count_and_marks(small: Trajectories) -> None:
    assert small.transitions == 6000
    np.testing.assert_array_equal(small.lengths, [300] * 20)
    np.testing.assert_array_equal(np.flatnonzero(small.truncations), small.starts[1:] - 1)
    assert not small.terminations.any()
    assert np.abs(small.actions).max() <= 1.0, "actions are stored as executed"
    cut = walks(transitions=1000)
    np.testing.assert_array_equal(cut.lengths, [300, 300, 300, 100])


def test_the_same_arguments_give_the_same_bytes(small: Trajectories) -> None:
    assert walks().digest() == small.digest()
    assert walks(seed=1).digest() != small.digest()
    assert walks(action_noise=0.0).digest() != small.digest()
    assert walks(waypoint_spread=0.0).digest() != small.digest()


def test_a_longer_collection_begins_with_the_shorter(small: Trajectories) -> None:
    longer = walks(transitions=9000)
    np.testing.assert_array_equal(longer.observations[:6000], small.observations)
    np.testing.assert_array_equal(longer.rewards[:6000], small.rewards)


def test_rewards_are_those_of_the_tasks_goal_not_of_the_controllers(small: Trajectories) -> None:
    for walk in small:
        after = np.concatenate([walk.observations[1:], walk.final_observation[None]])[:, :2]
        distances_to_goal = np.hypot(*(after - [-1.0, 1.0]).T)
        clear = np.abs(distances_to_goal - 0.5) > 1e-4
        np.testing.assert_array_equal(walk.rewards[clear], distances_to_goal[clear] <= 0.5)
    # One cell of seven is the goal's, and it is a dead end.
    assert 0.02 < small.rewards.mean() < 0.2


def test_walks_visit_every_cell(small: Trajectories) -> None:
    layout = make_batch(options_of("maze2d-umaze"), 1).layout
    assert set(layout.nearest(small.observations[:, :2])) == set(range(7))


def test_walks_cut_at_the_controllers_goals_are_the_same_walks(small: Trajectories) -> None:
    legs = walks(trajectory_end="goal")
    np.testing.assert_array_equal(legs.observations, small.observations)
    np.testing.assert_array_equal(legs.actions, small.actions)
    assert set(small.starts) <= set(legs.starts)
    assert len(legs) > 2 * len(small)
    layout = make_batch(options_of("maze2d-umaze"), 1).layout
    for index in np.flatnonzero(~np.isin(legs.starts[1:], small.starts)):
        final = legs.final_observations[index][None, :2].astype(np.float64)
        offset = final - layout.centres[layout.nearest(final)]
        assert np.abs(offset).max() <= 0.1 + THERE, "it ended at a waypoint, which lies near a cell's middle"


# The job


def test_a_dataset_is_stored_as_collected_with_facts_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    facts = make(options_of("maze2d-medium", transitions=2000), "maze2d-medium", tmp_path)
    stored = load(tmp_path)
    assert facts["content_sha256"] == stored.digest()
    assert (facts["transitions"], facts["trajectories"]) == (2000, 4)
    assert facts["mean_reward"] == pytest.approx(stored.rewards.mean())
    assert 277.39 < facts["controller_return"] <= 600
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("task", ["antmaze-umaze", "antmaze-umaze-diverse"])
def test_antmaze_is_unavailable_and_says_why(task: str, tmp_path: Path) -> None:
    with pytest.raises(
        UnavailableError, match=f"no data for {task}: the ant .* trained policy.*docs/data.md"
    ):
        make(defaults(CATALOGUE, task, "dema"), task, tmp_path)
    assert not list(tmp_path.iterdir())


def test_messages() -> None:
    with pytest.raises(ValueError, match="transitions is 0 and seed is 0; they must be at least 1 and 0"):
        walks(transitions=0)
    with pytest.raises(ValueError, match="seed is -1"):
        walks(seed=-1)


def test_walking_needs_no_torch() -> None:
    program = "import sys, bench.worlds.maze.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
