"""AD (Transformer): Algorithm Distillation with a causal transformer."""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.ad import ADLearner
from bench.methods.backbones import transformer


class Learner(ADLearner):
    """GPT-2 blocks over the whole context, with learnt positions."""

    def __init__(self, options: Options) -> None:
        backbone = transformer(options, options["layers"])
        super().__init__(options, backbone, positions=options["position_embedding"], keeps_state=False)
