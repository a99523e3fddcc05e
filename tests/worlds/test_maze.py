"""Point mazes: physics against gymnasium-robotics itself, and the rules of D4RL's maze2d."""

from __future__ import annotations

import tempfile

import gymnasium
import numpy as np
import pytest
from suites import CATALOGUE

from bench.catalogue.values import defaults
from bench.errors import SpecError
from bench.worlds.maze.world import MAX_SPEED, START_SPREAD, Layout, MazeBatch, make_batch, no_file_left

UMAZE, GOAL, RADIUS = "PointMaze_UMaze-v3", (1, 1), 0.5
TASKS = ["maze2d-umaze", "maze2d-medium", "maze2d-large"]


def umaze(count: int) -> MazeBatch:
    return MazeBatch(UMAZE, count, GOAL, RADIUS)


def pushes(steps: int, count: int, seed: int = 0) -> np.ndarray:
    """(steps, count, 2) forces that change direction every tenth of a second, so that balls meet walls."""
    drawn = np.random.default_rng(seed).uniform(-1, 1, (steps // 10 + 1, count, 2))
    return np.repeat(drawn, 10, axis=0)[:steps].astype(np.float32)


def play(batch: MazeBatch, seeds: list[int], actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Observations (steps + 1, count, 4) and rewards (steps, count)."""
    seen, paid = [batch.reset(seeds)], []
    for action in actions:
        observations, rewards, _, _ = batch.step(action)
        seen.append(observations)
        paid.append(rewards)
    return np.stack(seen), np.stack(paid)


@pytest.mark.parametrize("task", TASKS)
def test_a_ball_moves_as_in_gymnasium_robotics(task: str) -> None:
    batch = make_batch(defaults(CATALOGUE, task, "dt"), 1)
    actions = pushes(200, 1)
    seen, _ = play(batch, [5], actions)
    with no_file_left():
        environment = gymnasium.make(batch.env_id, disable_env_checker=True)
    environment.reset(seed=0)
    alone = batch._environments[0]
    start, _ = alone.reset(seed=5)
    environment.unwrapped.point_env.set_state(start[:2], start[2:])
    for step, action in enumerate(actions[:, 0]):
        observation = environment.step(action)[0]["observation"]
        np.testing.assert_allclose(seen[step + 1, 0], observation, rtol=1e-6, atol=1e-6)
    assert np.abs(seen[1:, 0] - seen[0, 0]).max() > 0.3, "the ball has moved"


def test_batch_equals_single_mazes_and_the_same_seed_gives_the_same_episode() -> None:
    seeds, actions = [3, 1, 4], pushes(100, 3)
    seen, paid = play(umaze(3), seeds, actions)
    for index, seed in enumerate(seeds):
        alone, paid_alone = play(umaze(1), [seed], actions[:, index : index + 1])
        np.testing.assert_array_equal(seen[:, index : index + 1], alone)
        np.testing.assert_array_equal(paid[:, index : index + 1], paid_alone)
    assert (play(umaze(3), [2, 1, 4], actions)[0][0, 0] != seen[0, 0]).any()


def test_a_step_pays_where_it_ends_near_the_goal_and_nowhere_else() -> None:
    seen, paid = play(umaze(16), list(range(16)), pushes(299, 16))
    distances = np.hypot(*(seen[1:, :, :2] - [-1.0, 1.0]).transpose(2, 0, 1))
    clear = np.abs(distances - RADIUS) > 1e-4
    np.testing.assert_array_equal(paid[clear], (distances <= RADIUS)[clear])
    assert 0.02 < paid.mean() < 0.98


def test_an_episode_goes_on_at_the_goal_until_the_time_limit() -> None:
    batch = umaze(20)
    starts = batch.reset(range(20))[:, :2]
    distances = np.hypot(*(starts - [-1.0, 1.0]).T)
    at_goal, far = distances < 0.2, distances > 1.5
    assert at_goal.any()
    assert far.any()
    paid = np.zeros(20)
    for step in range(batch.max_episode_steps):
        _, rewards, terminated, truncated = batch.step(np.zeros((20, 2)))
        paid += rewards
        assert not terminated.any()
        assert (truncated == (step == 299)).all()
    assert (paid[at_goal] == 300).all()
    assert (paid[far] == 0).all(), "nobody pushes"
    assert not batch.alive.any()


def test_episodes_begin_near_the_middle_of_any_free_cell_the_goals_included() -> None:
    batch = umaze(1)
    starts = np.stack([batch.reset([seed])[0] for seed in range(400)])
    cells = batch.layout.nearest(starts[:, :2])
    assert np.bincount(cells, minlength=7).min() > 30, "400 starts over 7 cells"
    offsets = np.abs(starts[:, :2] - batch.layout.centres[cells])
    assert offsets.max() == pytest.approx(START_SPREAD, rel=0.05)
    assert starts[:, 2:].std() == pytest.approx(0.1, rel=0.1)


def test_actions_are_clipped_and_so_is_the_speed() -> None:
    """A push lasts until the speed is cut: at most 1 N x 100 / 4.19 kg, a hundredth of a second beyond it."""
    inside, outside = umaze(1), umaze(1)
    inside.reset([0])
    outside.reset([0])
    for _ in range(60):
        at_bound, beyond = inside.step(np.ones((1, 2))), outside.step(np.full((1, 2), 9.0))
        for left, right in zip(at_bound, beyond, strict=True):
            np.testing.assert_array_equal(left, right)
        assert np.abs(at_bound[0][:, 2:]).max() < MAX_SPEED + 0.25


@pytest.mark.parametrize("task", TASKS)
def test_no_push_moves_a_ball_into_a_wall(task: str) -> None:
    batch = make_batch(defaults(CATALOGUE, task, "dt"), 8)
    seen, _ = play(batch, list(range(8)), pushes(250, 8, seed=1))
    positions = seen[..., :2].reshape(-1, 2).astype(np.float64)
    nearest = batch.layout.centres[batch.layout.nearest(positions)]
    assert np.abs(positions - nearest).max() < 0.5


def test_rows_and_columns_lie_where_gymnasium_robotics_puts_them() -> None:
    with no_file_left():
        maze = gymnasium.make("PointMaze_Large-v3", disable_env_checker=True).unwrapped.maze
    layout = Layout(np.array(maze.maze_map))
    assert len(layout.cells) == sum(row.count(0) for row in maze.maze_map)
    for cell, centre in zip(layout.cells, layout.centres, strict=True):
        np.testing.assert_allclose(maze.cell_rowcol_to_xy(cell), centre)
        assert layout.cell_at(*cell) == layout.nearest(centre[None] + 0.4)[0]


@pytest.mark.parametrize(("task", "goal"), zip(TASKS, [(1, 1), (6, 6), (7, 9)], strict=True))
def test_tasks_have_the_goals_and_time_limits_of_d4rl(task: str, goal: tuple[int, int]) -> None:
    options = defaults(CATALOGUE, task, "dt")
    batch = make_batch(options, 1)
    assert batch.max_episode_steps == options["max_episode_steps"]
    assert tuple(batch.layout.cells[batch.goal_cell]) == goal
    assert (batch.observation_dim, batch.action_dim) == (options["observation_dim"], options["action_dim"])


def test_no_file_is_left_where_temporary_files_go(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    umaze(2).close()
    assert list(tmp_path.iterdir()) == []
    assert tempfile.tempdir == str(tmp_path)


def test_messages() -> None:
    with pytest.raises(SpecError, match=r"Unknown environment 'PointMace-v3'.*'PointMaze_UMaze-v3'"):
        MazeBatch("PointMace-v3", 1, GOAL, RADIUS)
    for other in ("Hopper-v5", "PointMaze_UMazeDense-v3", "AntMaze_UMaze-v5"):
        with pytest.raises(SpecError, match=f"environment_id: {other} is no point maze with sparse reward"):
            MazeBatch(other, 1, GOAL, RADIUS)
    with pytest.raises(
        SpecError, match=r"goal_row 2 and goal_column 1 name no free cell.*\(1, 1\), \(1, 2\)"
    ):
        MazeBatch(UMAZE, 1, (2, 1), RADIUS)
    with pytest.raises(ValueError, match=r"MazeBatch\('PointMaze_UMaze-v3'\): count is 0"):
        umaze(0)
    batch = umaze(2)
    batch.reset([0, 1])
    with pytest.raises(ValueError, match=r"MazeBatch.*shape \(2,\), expected .* = \(2, 2\)"):
        batch.step(np.zeros(2))
