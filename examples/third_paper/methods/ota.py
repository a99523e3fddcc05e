"""Decision Mamba (Ota 2024): DT's tokens and head, and blocks of a Mamba mixer and a channel-mixing layer.

Dropout acts on what the mixer adds as well, as everywhere in the suite; in its code on the other layer alone.
"""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.sequence import SequenceLearner
from bench.methods.three_token import three_token_model
from bench.nn.backbone import Backbone
from bench.nn.mamba import MambaMixer


def channel_mixing_mamba(options: Options) -> Backbone:
    """Mamba mixers, each followed by a feed-forward layer of four times the width."""
    width = options["embedding_dim"]
    return Backbone(
        options["layers"],
        width,
        mixer=lambda _: MambaMixer(width, options["d_state"], options["d_conv"], options["expand"]),
        feed_forward=options["activation"],
        dropout=options["dropout"],
    )


class Learner(SequenceLearner):
    """Decision Mamba on windows of K steps."""

    def __init__(self, options: Options) -> None:
        super().__init__(
            options, three_token_model(options, lambda: channel_mixing_mamba(options)), online="state"
        )
