"""Whole episodes in a T-maze for a method that acts in context: its context is the episode itself (DM-H)."""

from __future__ import annotations

import numpy as np
import torch

from bench.catalogue.option_types import Options
from bench.envs.tmaze import TMaze, alternating_goals
from bench.evaluators.episodes import Agent, Rows, Synchronous, play
from bench.evaluators.tmaze import scores
from bench.methods.base import Trial
from bench.seeds import stream_seed
from bench.work.record import Facts


def evaluate(agent: Agent, options: Options, task: str, seed: int, facts: Facts) -> Rows:
    """Rows (metric, index, value): mean and deviation of the return, and the share of mazes solved."""
    goals = alternating_goals(options["evaluation_episodes"])
    maze = TMaze(options["corridor_length"], options["oracle_length"], goals, options["penalty"])
    generator = torch.Generator().manual_seed(stream_seed("eval", "actions", task, seed))
    mazes = Synchronous(maze, len(goals))
    returns = play(mazes, agent.policy(Trial(mazes.count, generator, options["temperature"])), 1)
    return scores(returns[:, 0].astype(np.float64))
