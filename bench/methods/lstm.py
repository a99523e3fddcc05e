"""LSTM: the recurrent baseline of Ni et al. 2023 on the T-maze, trained like a Decision Transformer.

Tokens, head and loss are DT's (`bench.methods.three_token`); in neither paper.
"""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.sequence import SequenceLearner
from bench.methods.three_token import three_token_model
from bench.nn.lstm import LSTMBackbone


class Learner(SequenceLearner):
    """LSTM on windows of K steps."""

    def __init__(self, options: Options) -> None:
        model = three_token_model(
            options, lambda: LSTMBackbone(options["layers"], options["embedding_dim"], options["dropout"])
        )
        super().__init__(options, model, online="state")
