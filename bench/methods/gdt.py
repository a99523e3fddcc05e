"""Graph Decision Transformer (Hu et al. 2023), after a later copy of its code by DeMa's first author.

- Tokens return-to-go, state, action with a timestep embedding, as DT's; they pass no norm and no dropout on
  entry.
- Attention is causal over *all* earlier tokens. A graph of causes (`bench.nn.graph_attention`) says which of
  two learnt relations a pair has, and so changes scores and hides nothing: both relations, an edge and none,
  have an embedding. `graph_edges=none-visible` is that copy of the code, whose edges point where the causal
  mask hides them.
- An action is read off its state's token and its return's, side by side, through LayerNorm, a linear map and
  tanh.
- Without the patch transformer, which the paper has as an option for images.
"""

from __future__ import annotations

from torch import nn

from bench.catalogue.option_types import Options
from bench.methods.heads import action_head
from bench.methods.return_conditioned import StepEmbeddings
from bench.methods.sequence import SequenceLearner
from bench.methods.token_layout import STATE_BEFORE_ACTION
from bench.methods.token_model import TokenModel
from bench.nn.graph_attention import GraphTransformer


def gdt_model(options: Options) -> TokenModel:
    """The model, freshly initialised from torch's global generator."""
    width = options["embedding_dim"]
    embed = StepEmbeddings(options)
    backbone = GraphTransformer(
        options["layers"],
        width,
        options["heads"],
        options["dropout"],
        scaled_twice=options["score_scaling"] == "twice",
        drawn=options["graph_edges"] == "drawn",
    )
    head = nn.Sequential(nn.LayerNorm(2 * width), *action_head(options, 2 * width))
    return TokenModel(options, STATE_BEFORE_ACTION, embed, nn.Identity(), backbone, head)


class Learner(SequenceLearner):
    """Graph Decision Transformer on windows of K steps."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, gdt_model(options), online="cache")
