"""What tests of the methods that act in context share: small learners in dark rooms, and their episodes."""

from __future__ import annotations

import numpy as np
from method_cases import ROOMS, tiny_learner

from bench.datasets.episodes import Episodes
from bench.methods.in_context import random_episodes

TINY = {
    "room_side": 5, "horizon": 7, "context_episodes": 3, "embedding_dim": 16, "layers": 2, "mamba_layers": 2,
    "transformer_layers": 2, "heads": 4, "steps_per_subgoal": 3, "subgoal": "mean",
}  # fmt: skip


def make(method, **changes):
    """A tiny learner in a dark room."""
    return tiny_learner("darkroom", method, TINY, **changes)


def batch_of(learner, episodes):
    """The batch that a learner makes of episodes."""
    return learner.sampler.batch_of(episodes, np.random.default_rng(0))


def history(options, episodes):
    """Episodes (ROOMS, episodes, ...) with random content, episode e of return e."""
    generator = np.random.default_rng(0)
    made = random_episodes(options, ROOMS, episodes, generator)
    order = generator.permuted(np.tile(np.arange(options["horizon"]), (ROOMS, episodes, 1)), axis=2)
    made.rewards = (order < np.arange(episodes)[None, :, None]).astype(np.float32)
    return made


def of_lengths(options, lengths):
    """Random episodes of the given lengths (ROOMS, E); padding holds what no test may depend on."""
    made = random_episodes(options, ROOMS, len(lengths[0]), np.random.default_rng(5))
    return Episodes(made.states, made.actions, made.rewards, np.array(lengths))


def steps_of(predicted, batch):
    """Predictions (real steps, A) of a batch back in their blocks (S, c, A), zero at padding."""
    real, shape = batch["real"], batch["rewards"].shape
    laid = predicted.new_zeros(shape.numel(), predicted.shape[-1])
    laid[real] = predicted[: len(real)]
    return laid.unflatten(0, shape)
