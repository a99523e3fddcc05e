"""AD (Transformer): Algorithm Distillation with a causal transformer."""

from __future__ import annotations

from typing import Any

from bench.methods.ad import ADLearner
from bench.nn.backbone import Backbone


class Learner(ADLearner):
    """GPT-2 blocks over the whole context, with learnt positions."""

    def __init__(self, options: dict[str, Any]) -> None:
        backbone = Backbone(
            options["layers"],
            options["embedding_dim"],
            mixer="attention",
            arrangement="post",
            heads=options["heads"],
            dropout=options["dropout"],
            activation=options["activation"],
        )
        super().__init__(options, backbone, positions=options["position_embedding"])
