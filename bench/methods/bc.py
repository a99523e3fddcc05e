"""BC: behaviour cloning of every transition, the action from the state alone."""

from __future__ import annotations

from bench.methods.feed_forward import CloningLearner


class Learner(CloningLearner):
    """Regression on the whole dataset."""
