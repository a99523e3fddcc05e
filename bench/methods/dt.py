"""Decision Transformer (Chen et al. 2021), as in its gym code: the baseline of both papers.

The three tokens of a step are read by GPT-2 blocks; see `bench.methods.three_token`.
"""

from __future__ import annotations

from bench.methods.backbones import transformer
from bench.methods.three_token import ThreeTokenLearner
from bench.nn.backbone import Backbone


class Learner(ThreeTokenLearner):
    """Decision Transformer on windows of K steps."""

    def make_backbone(self) -> Backbone:
        """GPT-2 blocks: causal attention, then a network of four times the width."""
        return transformer(self.options, self.options["layers"])
