"""AD (Mamba): Algorithm Distillation with Mamba blocks in place of the transformer (DM-H Section 5.3)."""

from __future__ import annotations

from typing import Any

from bench.methods.ad import ADLearner
from bench.nn.backbone import Backbone


class Learner(ADLearner):
    """Mamba blocks over the whole context; the recurrence itself tells the position."""

    def __init__(self, options: dict[str, Any]) -> None:
        backbone = Backbone(
            options["layers"],
            options["embedding_dim"],
            mixer="mamba",
            arrangement="pre",
            d_state=options["d_state"],
            d_conv=options["d_conv"],
            expand=options["expand"],
            dropout=options["dropout"],
        )
        super().__init__(options, backbone, positions=False)
