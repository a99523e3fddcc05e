"""Decision Transformer (Chen et al. 2021), as in its gym code: the baseline of both papers.

The three tokens of a step are read by GPT-2 blocks; see `bench.methods.three_token`.
"""

from __future__ import annotations

from bench.methods.three_token import ThreeTokenLearner
from bench.nn.backbone import Backbone


class Learner(ThreeTokenLearner):
    """Decision Transformer on windows of K steps."""

    def make_backbone(self) -> Backbone:
        """GPT-2 blocks: causal attention, then a network of four times the width."""
        options = self.options
        return Backbone(
            options["layers"], options["embedding_dim"], mixer="attention", arrangement="post",
            heads=options["heads"], dropout=options["dropout"], activation=options["activation"],
        )  # fmt: skip
