"""AD (Mamba): Algorithm Distillation with Mamba blocks in place of the transformer (DM-H Section 5.3)."""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.ad import ADLearner
from bench.methods.backbones import mamba


class Learner(ADLearner):
    """Mamba blocks over the whole context; the recurrence itself tells the position."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, mamba(options, options["layers"]), positions=False, keeps_state=True)
