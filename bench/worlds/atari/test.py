"""Whole games, all side by side; how they begin depends on the game and the seed alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.seeds import stream
from bench.work.record import Facts
from bench.worlds.atari.game import make_games
from bench.worlds.atari.world import AtariWorld
from bench.worlds.contract import TestRows
from bench.worlds.scores import return_scores

CONSECUTIVE = True


def make_world(options: Options, task: str, seed: int, facts: Facts) -> AtariWorld:
    """`evaluation_episodes` copies of the task's game."""
    return AtariWorld(
        make_games(options, options["evaluation_episodes"]),
        stream("eval", "starts", options["environment_id"], seed),
        options["stacked_frames"],
        options["max_episode_steps"],
        options["noop_steps"],
        options["sticky_actions"],
    )


def scores(returns: NDArray[np.float64], lengths: NDArray[np.float64], options: Options) -> TestRows:
    """Mean and deviation of the return, mean length, and the score between a random agent and a human."""
    named = {"normalised_score": "gamer_normalised_score"}
    rows = return_scores(returns, lengths, options)
    return [(named.get(metric, metric), index, value) for metric, index, value in rows]
