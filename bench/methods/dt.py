"""Decision Transformer (Chen et al. 2021), as in its gym code: the baseline of both papers.

The three tokens of a step are read by GPT-2 blocks: causal attention, then a network of four times the width.
See `bench.methods.three_token`.
"""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.backbones import transformer
from bench.methods.sequence import SequenceLearner
from bench.methods.three_token import ThreeTokenModel


class Learner(SequenceLearner):
    """Decision Transformer on windows of K steps."""

    def __init__(self, options: Options) -> None:
        model = ThreeTokenModel(options, lambda: transformer(options, options["layers"]))
        super().__init__(options, model, online="cache")
