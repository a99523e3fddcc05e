"""DM: the Decision Transformer with Mamba blocks, as run on the T-maze in DM-H (Section 5).

Tokens and head are DT's (`bench.methods.three_token`). A block is the Mamba mixer alone, without a
feed-forward layer. At the start of training a channel's state keeps exp(-step size * n) of a token
n tokens later in its slowest decay, so `step_size_minimum` bounds how far back it begins to see.
"""

from __future__ import annotations

from bench.methods.backbones import mamba
from bench.methods.three_token import ThreeTokenLearner
from bench.nn.backbone import Backbone


class Learner(ThreeTokenLearner):
    """DM on windows of K steps."""

    recurrent = True

    def make_backbone(self) -> Backbone:
        """Mamba blocks."""
        return mamba(self.options, self.options["layers"], self.options["step_size_minimum"])
