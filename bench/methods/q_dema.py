"""Q-DeMa (DeMa Appendix H): QT with DeMa in the place of its Transformer, on windows of K steps."""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.dema_model import dema_model
from bench.methods.q_guided import QGuidedLearner


class Learner(QGuidedLearner):
    """DeMa guided by critics."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, dema_model)
