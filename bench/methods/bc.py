"""BC: behaviour cloning of every transition, the action from the state alone."""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.cloning import CloningLearner


class Learner(CloningLearner):
    """Regression on the whole dataset."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, lambda dataset: dataset)
