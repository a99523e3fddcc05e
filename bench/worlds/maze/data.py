"""Maze datasets: a waypoint controller walks from one random cell to the next, as in D4RL's maze2d.

The controller's goals have nothing to do with the task's. Rewards are those of the task's fixed goal, which
the ball passes by chance; when the controller has arrived, a new goal is drawn for it. A walk lasts as long
as an episode and is one trajectory (`trajectory_end=time-limit`), or is also cut wherever the controller
arrived (`goal`).

Random streams are derived from (seed, walk number): each walk has one for its start and one for its goals and
waypoints; each round of sixteen, which run side by side, has one for the noise on the actions. Walks are
stored in the order of their numbers, so a longer collection begins with the shorter one's. The same arguments
give the same bytes on the same machine.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.minari_store import load_minari, save_minari
from bench.datasets.trajectories import Trajectories, Trajectory
from bench.errors import UnavailableError
from bench.seeds import stream_seed
from bench.work.record import Facts
from bench.worlds.maze.waypoints import WaypointController
from bench.worlds.maze.world import MazeBatch, make_batch, no_file_left

DATASET_ID = "local/waypoints-v0"
WALKS = 16
START, WAY, NOISE = 0, 1, 2  # the purposes of the random streams
CONTROLLER_EPISODES = 64  # behind the return that is stated beside the data


def make(options: Options, task: str, folder: Path) -> Facts:
    """Walk the task's maze into a Minari dataset below `folder`; returns facts for the sidecar.

    Among them is the controller's own return where it goes to the task's goal and stays, without noise.

    Raises UnavailableError for a task whose data no controller can stand in for.
    """
    if options["behaviour_policy"] == "none":
        raise UnavailableError(
            f"there is no data for {task}: the ant of {options['environment_id']} is walked by a trained "
            "policy, for which the suite has no stand-in, and D4RL's own files are not read yet "
            "(docs/data.md)"
        )
    seed = stream_seed("data", "waypoint", options["environment_id"])
    trajectories = Trajectories.from_episodes(collect(options, seed))
    described = f"stand-in for {task}: walks of a waypoint controller"
    with no_file_left():
        save_minari(
            trajectories, folder, DATASET_ID, options["environment_id"], described, "waypoint controller"
        )
    controller = controller_returns(options, CONTROLLER_EPISODES, seed)
    return {
        "transitions": int(trajectories.transitions),
        "trajectories": len(trajectories),
        "mean_return": float(trajectories.returns.mean()),
        "largest_return": float(trajectories.returns.max()),
        "mean_reward": float(trajectories.rewards.mean(dtype=np.float64)),
        "controller_return": float(controller.mean()),
        "controller_deviation": float(controller.std(ddof=1)),
        "content_sha256": trajectories.digest(),
    }


def load(folder: Path) -> Trajectories:
    """The dataset written by `make`."""
    return load_minari(folder, DATASET_ID)


def collect(options: Options, seed: int) -> list[Trajectory]:
    """Trajectories of exactly `transitions` transitions together; the last one is cut where they are full.

    Raises ValueError for fewer than one transition or a negative seed.
    """
    missing = options["transitions"]
    if missing < 1 or seed < 0:
        raise ValueError(f"transitions is {missing} and seed is {seed}; they must be at least 1 and 0.")
    batch = make_batch(options, WALKS)
    kept: list[Trajectory] = []
    first = 0
    while missing > 0:
        for walk in walk_round(batch, seed, first, options):
            for trajectory in walk:
                if missing > 0:
                    kept.append(trajectory.cut(missing))
                    missing -= len(kept[-1])
        first += batch.count
    batch.close()
    return kept


def walk_round(batch: MazeBatch, seed: int, first: int, options: Options) -> list[list[Trajectory]]:
    """The trajectories of each walk `first` and following of the run `seed`, one in each maze of `batch`."""
    numbers = range(first, first + batch.count)
    states = batch.reset(_starts(seed, numbers))
    ways = [np.random.default_rng(_stream(seed, number, WAY)) for number in numbers]
    noise = np.random.default_rng(_stream(seed, first, NOISE))
    controller = WaypointController(batch.layout, states[:, :2], ways, options["waypoint_spread"])
    cells = len(batch.layout.cells)
    seen, done, earned, arrivals = [states], [], [], []
    while batch.alive.any():
        arrivals.append(controller.arrived(states[:, :2]))
        for index in np.flatnonzero(arrivals[-1]):
            controller.send(int(index), _other_cell(controller.cells[index], cells, ways[index]))
        disturbed = controller.act(states) + options["action_noise"] * noise.standard_normal((batch.count, 2))
        done.append(batch.clip(disturbed))
        states, rewards, _, _ = batch.step(done[-1])
        seen.append(states)
        earned.append(rewards)
    observations, actions, paid = np.stack(seen), np.stack(done), np.stack(earned)
    whole = options["trajectory_end"] == "time-limit"
    cuts = np.zeros_like(arrivals) if whole else np.stack(arrivals)
    return [
        _split(observations[:, walk], actions[:, walk], paid[:, walk], cuts[:, walk])
        for walk in range(batch.count)
    ]


def controller_returns(options: Options, episodes: int, seed: int) -> NDArray[np.float64]:
    """(episodes,) returns of the controller, without noise, that goes to the task's goal and stays there."""
    batch = make_batch(options, episodes)
    states = batch.reset(_starts(seed, range(episodes)))
    ways = [np.random.default_rng(_stream(seed, number, WAY)) for number in range(episodes)]
    controller = WaypointController(batch.layout, states[:, :2], ways, spread=0.0)
    for index in range(episodes):
        controller.send(index, batch.goal_cell)
    returns = np.zeros(episodes)
    while batch.alive.any():
        controller.arrived(states[:, :2])
        states, rewards, _, _ = batch.step(controller.act(states))
        returns += rewards
    batch.close()
    return returns


def _split(
    observations: NDArray[np.float32],
    actions: NDArray[np.float32],
    rewards: NDArray[np.float64],
    cuts: NDArray[np.bool_],
) -> list[Trajectory]:
    """A walk (observations have one row more) cut before each step that is marked in `cuts` (steps,)."""
    bounds = [0, *np.flatnonzero(cuts[1:]) + 1, len(rewards)]
    return [
        Trajectory.whole(observations[a : b + 1], actions[a:b], rewards[a:b], terminated=False)
        for a, b in pairwise(bounds)
    ]


def _other_cell(cell: int, count: int, generator: np.random.Generator) -> int:
    """Another of `count` cells, drawn evenly."""
    return int((cell + 1 + generator.integers(count - 1)) % count)


def _starts(seed: int, numbers: range) -> list[int]:
    return [int(_stream(seed, number, START).generate_state(1)[0]) for number in numbers]


def _stream(seed: int, number: int, purpose: int) -> np.random.SeedSequence:
    return np.random.SeedSequence((seed, number, purpose))
