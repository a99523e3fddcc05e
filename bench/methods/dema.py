"""DeMa: Decision Mamba (arXiv 2405.12094): Mamba blocks in place of the transformer's.

- `tokens=b3ld`: three tokens a step along time, in the order return-to-go, state, action; the
  action is read off the state's token. `bl3d`: return-to-go, state and the *previous* action are
  concatenated along the features into one token a step (Section 4.1, Table 2).
- `mode=window` (Transformer-like): the last K steps, in training and in decoding.
  `recurrent` (RNN-like): trained on whole trajectories, decoded from the stored hidden state.
- `block=pre`: up-projection inside the mixer and no feed-forward layer (DeMa). `post`: the mixer
  in the attention's place of a transformer block, with its feed-forward layer ("with post.").
- No position embedding (Appendix G) unless `position_embedding` asks for DT's.
Token embeddings have width `embedding_dim`; the blocks work at `d_model`, between two linear maps.
"""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.dema_model import DeMaModel
from bench.methods.sequence import SequenceLearner


class Learner(SequenceLearner):
    """DeMa on windows of K steps, or on whole trajectories."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, DeMaModel(options), whole_trajectories=options["mode"] == "recurrent")
