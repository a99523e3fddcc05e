"""DM: the Decision Transformer with Mamba blocks, as run on the T-maze in DM-H (Section 5).

Tokens and head are DT's (`bench.methods.three_token`). A block is the Mamba mixer alone, without a
feed-forward layer. At the start of training a channel's state keeps exp(-step size * n) of a token
n tokens later in its slowest decay, so `step_size_minimum` bounds how far back it begins to see.
"""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.backbones import mamba
from bench.methods.sequence import SequenceLearner
from bench.methods.three_token import three_token_model


class Learner(SequenceLearner):
    """DM on windows of K steps."""

    def __init__(self, options: Options) -> None:
        model = three_token_model(
            options, lambda: mamba(options, options["layers"], options["step_size_minimum"])
        )
        super().__init__(options, model, online="state")
