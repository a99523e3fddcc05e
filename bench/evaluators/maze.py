"""Rollouts of a return-conditioned policy in a maze, all episodes side by side, asked for a sum of rewards.

Starts depend on the maze and the seed alone, not on the method.
"""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.envs.maze import make_batch
from bench.evaluators.episodes import Agent, Rows
from bench.evaluators.return_conditioned import Played, play, scores
from bench.work.record import Facts


def evaluate(agent: Agent, options: Options, task: str, seed: int, facts: Facts) -> Rows:
    """Rows (metric, index, value): mean return at each target, and what the protocol's own target gives."""

    def play_at(target: float) -> Played:
        return play(
            agent, make_batch(options, options["evaluation_episodes"]), target, seed, subtract_rewards=True
        )

    return scores(options, play_at)
