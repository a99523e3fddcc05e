"""Consecutive episodes of one robot without updates (DM-H Section 5.3): the last one's return is the score.

Initial states depend on the environment and the seed alone, not on the method.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.envs.mujoco import MujocoBatch
from bench.evaluators.episodes import Agent, Rows, play
from bench.methods.base import Trial
from bench.seeds import stream, stream_seed
from bench.work.record import Facts


class Robots:
    """A batch of MuJoCo environments as `play` wants it; the reward of an ended episode is 0."""

    def __init__(self, batch: MujocoBatch, starts: np.random.Generator) -> None:
        self.batch, self.starts = batch, starts
        self.count = batch.count

    def reset(self) -> NDArray[np.float32]:
        """Begin an episode everywhere; observations (count, S)."""
        return self.batch.reset([int(seed) for seed in self.starts.integers(2**31, size=self.count)])

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_]]:
        """Observations (count, S), rewards (count,), and whether each episode is over."""
        states, rewards, _, _ = self.batch.step(actions)
        return states, rewards, ~self.batch.alive


def evaluate(agent: Agent, options: Options, task: str, seed: int, facts: Facts) -> Rows:
    """Rows (metric, index, value): the mean return of each episode, and what the last one scores."""
    count, environment = options["evaluation_episodes"], options["environment_id"]
    batch = MujocoBatch(environment, count)
    robots = Robots(batch, stream("eval", "starts", environment, seed))
    generator = torch.Generator().manual_seed(stream_seed("eval", "actions", task, seed))
    returns = play(robots, agent.policy(Trial(count, generator)), options["episodes"])
    batch.close()
    means = returns.mean(axis=0, dtype=np.float64)
    low, high = options["reference_low"], options["reference_high"]
    return [
        *(("episode_return", float(number + 1), float(mean)) for number, mean in enumerate(means)),
        ("return", 0.0, float(means[-1])),
        ("return_deviation", 0.0, float(returns[:, -1].std(ddof=1)) if count > 1 else 0.0),
        ("normalised_score", 0.0, 100.0 * (float(means[-1]) - low) / (high - low)),
    ]
