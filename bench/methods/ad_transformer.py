"""AD (Transformer): Algorithm Distillation with a causal transformer."""

from __future__ import annotations

from typing import Any

from bench.methods.ad import ADLearner
from bench.methods.backbones import transformer


class Learner(ADLearner):
    """GPT-2 blocks over the whole context, with learnt positions."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(
            options, transformer(options, options["layers"]), positions=options["position_embedding"]
        )
