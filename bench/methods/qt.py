"""QT: Q-value regularised Transformer (Hu et al. 2024): a Decision Transformer guided by critics.

The policy is DT's model (`bench.methods.three_token`); losses and decoding are those of
`bench.methods.q_guided`.
"""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.backbones import transformer
from bench.methods.q_guided import QGuidedLearner
from bench.methods.three_token import three_token_model
from bench.methods.token_model import TokenModel


def make_policy(options: Options) -> TokenModel:
    """A Decision Transformer."""
    return three_token_model(options, lambda: transformer(options, options["layers"]))


class Learner(QGuidedLearner):
    """QT on windows of K steps."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, make_policy)
