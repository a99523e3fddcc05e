"""Decision ConvFormer (Kim et al. 2024): DT with a short convolution in the attention's place.

The filters differ by kind of token (return-to-go, state, action) and see `convolution_window` tokens, six in
the authors' code: two steps. See `bench.nn.convolution` and, for all else, `bench.methods.three_token`.
"""

from __future__ import annotations

import torch

from bench.methods.decoding import ReturnConditionedPolicy, StepPolicy
from bench.methods.three_token import ThreeTokenLearner
from bench.nn.backbone import Backbone
from bench.nn.convolution import ConvolutionMixer


class Learner(ThreeTokenLearner):
    """Decision ConvFormer on windows of K steps."""

    recurrent = True

    @property
    def receptive_field(self) -> int:
        """Tokens up to its own that a prediction depends on, through all layers."""
        return 1 + self.options["layers"] * (self.options["convolution_window"] - 1)

    def make_backbone(self) -> Backbone:
        """Blocks of a transformer with convolutions: each followed by a network of four times the width."""
        options, width = self.options, self.options["embedding_dim"]
        return Backbone(
            options["layers"],
            width,
            mixer=lambda _: ConvolutionMixer(width, options["convolution_window"]),
            feed_forward=options["activation"],
            dropout=options["dropout"],
        )

    def policy(
        self, episodes: int, cached: bool = True, generator: torch.Generator | None = None
    ) -> ReturnConditionedPolicy:
        """The trained model as a policy for `episodes` environments at once.

        A window that is at least as long as the receptive field predicts what the whole episode does, so that
        each token is read once; `cached=False` reads the window anew all the same, as the authors do.
        """
        if cached and self.receptive_field <= 3 * self.options["context_length"] - 1:
            return StepPolicy(self, episodes, self.options["max_episode_steps"], generator)
        return super().policy(episodes, cached, generator)
