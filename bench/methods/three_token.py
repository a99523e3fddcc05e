"""The Decision Transformer's model, which DT, DM, DC, the LSTM and QT share; they give it their backbones.

The tokens of a step follow each other in the order return-to-go, state, action, and pass a LayerNorm and
dropout as they enter. The action is read off the state's token, through tanh (or as logits, with
`discrete_actions`). A learnt embedding of the timestep is added to all three if `position_embedding` asks for
it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from bench.catalogue.option_types import Options
from bench.methods.heads import action_head
from bench.methods.return_conditioned import StepEmbeddings
from bench.methods.token_layout import STATE_BEFORE_ACTION
from bench.methods.token_model import SequenceModel, TokenModel


def three_token_model(options: Options, make_backbone: Callable[[], SequenceModel]) -> TokenModel:
    """A backbone of width `embedding_dim` over (return-to-go, state, action) tokens."""
    width = options["embedding_dim"]
    embed = StepEmbeddings(options)
    entry = nn.Sequential(OrderedDict(norm=nn.LayerNorm(width), dropout=nn.Dropout(options["dropout"])))
    backbone = make_backbone()
    return TokenModel(options, STATE_BEFORE_ACTION, embed, entry, backbone, action_head(options, width))
