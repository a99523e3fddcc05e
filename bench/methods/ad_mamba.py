"""AD (Mamba): Algorithm Distillation with Mamba blocks in place of the transformer (DM-H Section 5.3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.methods.ad import ADLearner
from bench.methods.backbones import mamba
from bench.methods.base import OnlineWork


class Learner(ADLearner):
    """Mamba blocks over the whole context; the recurrence itself tells the position."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options, mamba(options, options["layers"]), positions=False)

    def online_work(self, fill: int, cached: bool, generator: np.random.Generator) -> OnlineWork:
        """A decision from the recurrent state, which Mamba keeps in any case."""
        return super().online_work(fill, True, generator)
