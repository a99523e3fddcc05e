"""Drawing a training batch: ours against the way of Decision Transformer's gym code.

That way visits the windows one after the other: each is cut out, padded and standardised by itself, and its
returns-to-go are summed step by step to the end of the episode before they are cut. Ours gathers all windows
at once from returns-to-go that were computed before training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bench.catalogue.load import load_catalogue
from bench.catalogue.values import defaults
from bench.datasets.trajectories import Trajectories, Trajectory
from bench.methods.base import Learner, make_learner

BATCH, LENGTH, STEPS = 64, 20, 500


def trajectories(count: int = 200) -> Trajectories:
    """Made-up Hopper trajectories of `STEPS` steps."""
    generator = np.random.default_rng(0)

    def one() -> Trajectory:
        states = generator.standard_normal((STEPS + 1, 11)).astype(np.float32)
        actions = generator.uniform(-1, 1, (STEPS, 3)).astype(np.float32)
        return Trajectory.whole(states, actions, generator.random(STEPS), True)

    return Trajectories.from_episodes([one() for _ in range(count)])


def ours(dataset: Trajectories) -> Callable[[], Any]:
    """Batches as `bench.methods.windows` draws them."""
    options = defaults(load_catalogue(), "hopper-medium", "dt") | {
        "batch_size": BATCH,
        "context_length": LENGTH,
    }
    learner: Learner = make_learner("dt", options)
    learner.prepare(dataset)
    generator = np.random.default_rng(0)
    return lambda: learner.draw(generator)


def one_by_one(dataset: Trajectories) -> Callable[[], Any]:
    """Batches window by window."""
    episodes = list(dataset)
    mean, std = dataset.observation_mean, dataset.observation_std
    share = dataset.lengths / dataset.lengths.sum()
    generator = np.random.default_rng(0)

    def padded(values: np.ndarray, fill: float) -> np.ndarray:
        before = np.full((LENGTH - len(values), *values.shape[1:]), fill, dtype=np.float32)
        return np.concatenate([before, values]).astype(np.float32)

    def window(episode: Trajectory) -> tuple[np.ndarray, ...]:
        start = int(generator.integers(len(episode)))
        cut = slice(start, start + LENGTH)
        rewards = episode.rewards[start:]
        summed = np.zeros(len(rewards))
        summed[-1] = rewards[-1]
        for step in reversed(range(len(rewards) - 1)):
            summed[step] = rewards[step] + summed[step + 1]
        states = (padded(episode.observations[cut], 0.0) - mean) / std
        steps = np.arange(start, start + len(episode.actions[cut]), dtype=np.float32)
        mask = np.ones(len(steps), np.float32)
        returns = summed[:LENGTH, None] / 1000.0
        return (
            states,
            padded(episode.actions[cut], -10.0),
            padded(returns, 0.0),
            padded(steps, 0.0),
            padded(mask, 0.0),
        )

    def batch() -> list[torch.Tensor]:
        chosen = generator.choice(len(episodes), size=BATCH, p=share)
        parts = zip(*(window(episodes[index]) for index in chosen), strict=True)
        return [torch.from_numpy(np.stack(part)) for part in parts]

    return batch
