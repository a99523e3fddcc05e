"""DC-hybrid (Kim et al. 2024, Section 5.2): Decision ConvFormer whose last block attends.

All blocks but the last mix tokens by a convolution, as in DC; the last by DT's causal attention over all
tokens of the window. All else is as in `bench.methods.dc`. A prediction therefore depends on the whole
window.
"""

from __future__ import annotations

from typing import Any

from bench.catalogue.option_types import Options
from bench.methods.dc import convolution
from bench.methods.sequence import SequenceLearner
from bench.methods.three_token import three_token_model
from bench.nn.attention import CausalSelfAttention
from bench.nn.backbone import Backbone
from bench.nn.mixer import Mixer


def hybrid(options: Options) -> Backbone:
    """Convolutions and, in the last block, attention, each followed by a network of four times the width."""
    width, last, dropout = options["embedding_dim"], options["layers"] - 1, options["dropout"]

    def mixer(layer: int) -> Mixer[Any]:
        return (
            CausalSelfAttention(width, options["heads"], dropout) if layer == last else convolution(options)
        )

    return Backbone(options["layers"], width, mixer, feed_forward=options["activation"], dropout=dropout)


class Learner(SequenceLearner):
    """DC-hybrid on windows of K steps."""

    def __init__(self, options: Options) -> None:
        model = three_token_model(options, lambda: hybrid(options))
        super().__init__(options, model, online="cache")
