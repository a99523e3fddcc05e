"""Decision ConvFormer (Kim et al. 2024): DT with a short convolution in the attention's place.

The filters differ by kind of token (return-to-go, state, action) and see `convolution_window` tokens, six in
the authors' code: two steps. See `bench.nn.convolution` and, for all else, `bench.methods.three_token`.
"""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.sequence import SequenceLearner
from bench.methods.three_token import three_token_model
from bench.nn.backbone import Backbone
from bench.nn.convolution import ConvolutionMixer


def receptive_field(options: Options) -> int:
    """Tokens up to its own that a prediction depends on, through all layers."""
    return 1 + options["layers"] * (options["convolution_window"] - 1)


def convolution(options: Options) -> ConvolutionMixer:
    """The mixer of a block. `convolution_projection` adds what DC's Atari code has in some games."""
    width, window = options["embedding_dim"], options["convolution_window"]
    dropout = options["dropout"] if options["convolution_projection"] else None
    return ConvolutionMixer(width, window, projection_dropout=dropout)


def convolutions(options: Options) -> Backbone:
    """Convolutions, each followed by a network of four times the width."""
    width = options["embedding_dim"]
    return Backbone(
        options["layers"],
        width,
        mixer=lambda _: convolution(options),
        feed_forward=options["activation"],
        dropout=options["dropout"],
    )


class Learner(SequenceLearner):
    """Decision ConvFormer on windows of K steps."""

    def __init__(self, options: Options) -> None:
        model = three_token_model(options, lambda: convolutions(options))
        super().__init__(options, model, online="state", receptive_field=receptive_field(options))
