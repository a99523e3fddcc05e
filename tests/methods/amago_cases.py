"""What tests of AMAGO share: a tiny learner that knows its training tasks, and its batches."""

from __future__ import annotations

import numpy as np
from method_cases import some_histories, tiny_learner

TINY = {
    "room_side": 5, "horizon": 7, "context_episodes": 3, "embedding_dim": 16, "layers": 2, "heads": 4,
    "head_dim": 8, "critics": 2, "dropout": 0.0, "batch_size": 4, "collect_rooms": 6, "collect_every": 2,
    "replay_size": 16, "updates": 20,
}  # fmt: skip


def make(**changes):
    """A tiny learner that knows its training tasks."""
    learner = tiny_learner("darkroom", "amago", TINY, **changes)
    learner.prepare(some_histories())
    return learner


def batch_of(learner, episodes):
    """The batch that a learner makes of meta-episodes."""
    return learner.sampler.batch_of(episodes, np.random.default_rng(0))
