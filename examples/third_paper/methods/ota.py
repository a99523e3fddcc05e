"""Decision Mamba (Ota 2024): DT's tokens and head, and blocks of a Mamba mixer and a channel-mixing layer.

Dropout acts on what the mixer adds as well, as everywhere in the suite; in its code on the other layer alone.
"""

from __future__ import annotations

from bench.methods.three_token import ThreeTokenLearner
from bench.nn.backbone import Backbone


class Learner(ThreeTokenLearner):
    """Decision Mamba on windows of K steps."""

    recurrent = True

    def make_backbone(self) -> Backbone:
        """Mamba mixers, each followed by a feed-forward layer of four times the width."""
        options = self.options
        return Backbone(
            options["layers"], options["embedding_dim"], mixer="mamba", arrangement="post",
            d_state=options["d_state"], d_conv=options["d_conv"], expand=options["expand"],
            dropout=options["dropout"], activation=options["activation"],
        )  # fmt: skip
