"""Online testing without updates (DM-H Section 5.1): consecutive episodes on unseen tasks.

Rooms are spread evenly over the unseen goals and stepped together. Which goals, starts and
sampling noise a room meets depends on the task and the seed alone, not on the method.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.envs.gridworld import make_rooms
from bench.evaluators.episodes import Agent, Rows, Synchronous, play
from bench.methods.base import Trial
from bench.seeds import stream, stream_seed
from bench.work.record import Facts


def spread_goals(goals: NDArray[np.int64], rooms: int) -> NDArray[np.int64]:
    """(rooms, columns): the goals one after the other, round and round."""
    return goals[np.arange(rooms) % len(goals)]


def evaluate(agent: Agent, options: Options, task: str, seed: int, facts: Facts) -> Rows:
    """Rows (metric, index, value): the mean return of each episode, and of the last one.

    `facts` are the dataset's; its `test_tasks` are the unseen goals, its `train_tasks` those that were
    trained on (`tested_tasks=training`, for choosing settings without a look at the unseen ones).
    """
    known = facts["test_tasks" if options["tested_tasks"] == "unseen" else "train_tasks"]
    goals = spread_goals(np.array(known, dtype=np.int64), options["evaluation_environments"])
    world = make_rooms(options, goals, stream("eval", "starts", task, seed))
    generator = torch.Generator().manual_seed(stream_seed("eval", "actions", task, seed))
    policy = agent.policy(Trial(len(goals), generator, options["temperature"]))
    returns = play(Synchronous(world, len(goals)), policy, options["episodes"])
    means = returns.mean(axis=0, dtype=np.float64)
    rows = [("episode_return", float(number + 1), float(mean)) for number, mean in enumerate(means)]
    return [*rows, ("last_return", 0.0, float(means[-1]))]
