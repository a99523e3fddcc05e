"""LSTM: the recurrent baseline of Ni et al. 2023 on the T-maze, trained like a Decision Transformer.

Tokens, head and loss are DT's (`bench.methods.three_token`); in neither paper.
"""

from __future__ import annotations

from bench.methods.three_token import ThreeTokenLearner
from bench.nn.lstm import LSTMBackbone


class Learner(ThreeTokenLearner):
    """LSTM on windows of K steps."""

    recurrent = True

    def make_backbone(self) -> LSTMBackbone:
        """LSTM layers."""
        options = self.options
        return LSTMBackbone(options["layers"], options["embedding_dim"], options["dropout"])
