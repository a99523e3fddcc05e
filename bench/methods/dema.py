"""DeMa: Decision Mamba (arXiv 2405.12094): Mamba blocks in place of the transformer's.

- A step is a return-to-go, the action *before* it and a state, from which its action is predicted (Section
  3.1: K returns, K states and the actions a_{t-K} ... a_{t-1}). `token_order` is their order in time; the
  paper gives none, and the authors' code has the state last and reads the action at it.
- `tokens=b3ld`: three tokens a step along time. `bl3d`: the three are concatenated along the features into
  one token (Section 4.1, Table 2).
- `mode=window` (Transformer-like): the last K steps, in training and in decoding. `recurrent` (RNN-like):
  trained on whole trajectories, decoded from the stored hidden state.
- `block=pre`: up-projection inside the mixer, RMSNorm, no feed-forward layer (DeMa). `post` ("with post."):
  DT's model, its windows and its order of tokens, with a scan in the attention's place (`post_mixer`).
- No position embedding (Appendix G) unless `position_embedding` asks for DT's.
- Token embeddings have width `embedding_dim`. A linear map takes them to `d_model`, at which pre blocks work
  and which the head reads.
- The authors' code trains in another way than it evaluates: `training_return` and `first_step` reach it, and
  `padding=attended` lets the blocks read padding, as it does.
"""

from __future__ import annotations

from bench.catalogue.option_types import Options
from bench.methods.dema_model import dema_model
from bench.methods.sequence import SequenceLearner
from bench.methods.unused import heads_of_states_and_returns, unused_by_decision_transformer
from bench.methods.windows import OWN_RETURN, Pairing


class Learner(SequenceLearner):
    """DeMa on windows of K steps, or on whole trajectories."""

    def __init__(self, options: Options) -> None:
        own = options["block"] == "pre"
        pairing = Pairing(options["training_return"] == "previous", options["first_step"] == "context")
        super().__init__(
            options,
            dema_model(options),
            whole_trajectories=options["mode"] == "recurrent",
            pairing=pairing if own else OWN_RETURN,
        )

    def unused_parameters(self) -> int:
        """The heads of states and returns, and in a post block the embedding of words."""
        if self.options["block"] == "post":
            return unused_by_decision_transformer(self.options, self.options["embedding_dim"])
        return heads_of_states_and_returns(self.options, self.options["d_model"])
