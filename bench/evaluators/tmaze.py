"""Whole episodes in a T-maze, the two goals in turn, all side by side (DM-H Section 5).

The return still wanted starts at `target_return` and falls by each reward. Nothing in a maze is
random; where the protocol's temperature is above 0, the actions are drawn from a stream that
depends on the task and the seed alone.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.episodes import Episodes
from bench.envs.tmaze import TMaze, alternating_goals
from bench.evaluators.episodes import Agent, Rows
from bench.methods.base import Observation, Trial
from bench.seeds import stream_seed
from bench.work.record import Facts

# The best way returns 1, one that misses the goal's arm at most 0.
SOLVED = 0.95


def evaluate(agent: Agent, options: Options, task: str, seed: int, facts: Facts) -> Rows:
    """Rows (metric, index, value): mean and deviation of the return, and the share of mazes solved."""
    generator = torch.Generator().manual_seed(stream_seed("eval", "actions", task, seed))
    return scores(roll_out(agent, options, generator))


def scores(returns: NDArray[np.float64]) -> Rows:
    """Rows of the returns (mazes,) of one episode each."""
    return [
        ("return", 0.0, float(returns.mean())),
        ("return_deviation", 0.0, float(returns.std(ddof=1))),
        ("solved", 0.0, float((returns > SOLVED).mean())),
    ]


@torch.no_grad()
def roll_out(agent: Agent, options: Options, generator: torch.Generator) -> NDArray[np.float64]:
    """(episodes,) return of one episode in each maze; a policy gives one-hot actions (episodes, 4)."""
    count = options["evaluation_episodes"]
    goals, penalty = alternating_goals(count), options["penalty"]
    maze = TMaze(options["corridor_length"], options["oracle_length"], goals, penalty)
    policy = agent.policy(Trial(count, generator, options["temperature"]))
    wanted = np.full(count, options["target_return"], dtype=np.float32)
    returns, alive, over = np.zeros(count), np.ones(count, dtype=bool), False
    states = maze.reset()
    policy.begin(Episodes.none(states))
    while not over:
        actions = policy.act(Observation(states, wanted, alive)).argmax(axis=1)
        states, rewards, over = maze.step(actions)
        policy.observe(rewards)
        returns += rewards
        wanted -= rewards
    return returns
