"""Decision Transformer (Chen et al. 2021), as in its gym code: the baseline of both papers.

The three tokens of a step are read by GPT-2 blocks: causal attention, then a network of four times the width.
See `bench.methods.three_token`.
"""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.backbones import transformer
from bench.methods.sequence import SequenceLearner
from bench.methods.three_token import three_token_model
from bench.methods.unused import unused_by_decision_transformer


class Learner(SequenceLearner):
    """Decision Transformer on windows of K steps."""

    def __init__(self, options: Options) -> None:
        model = three_token_model(options, lambda: transformer(options, options["layers"]))
        super().__init__(options, model, online="cache")

    def unused_parameters(self) -> int:
        """The heads of states and returns, and the embedding of words."""
        return unused_by_decision_transformer(self.options, self.options["embedding_dim"])
