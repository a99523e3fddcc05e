"""The Decision Transformer's model, which DT, DM, DC, the LSTM and QT share; they give it their backbones.

The tokens of a step follow each other in the order return-to-go, state, action, and pass a LayerNorm and
dropout as they enter. The action is read off the state's token, through tanh (or as logits, with
`discrete_actions`). A learnt embedding of the timestep is added to all three if `position_embedding` asks for
it. On frames, as in DT's Atari code, tokens pass no LayerNorm, and what is added is the place of the window
in the episode and that of the token in the window.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

from bench.catalogue.option_types import Options
from bench.methods.frames import WindowPlaces, reads_frames
from bench.methods.heads import action_head
from bench.methods.return_conditioned import StepEmbeddings
from bench.methods.token_layout import STATE_BEFORE_ACTION
from bench.methods.token_model import SequenceModel, TokenModel
from bench.nn.linear import INITIAL_STD


def three_token_model(options: Options, make_backbone: Callable[[], SequenceModel]) -> TokenModel:
    """A backbone of width `embedding_dim` over (return-to-go, state, action) tokens."""
    width = options["embedding_dim"]
    embed = StepEmbeddings(options, window_places(options) if reads_frames(options) else None)
    entry = nn.Sequential(transformer_entry(options, options["dropout"]))
    backbone = make_backbone()
    head = action_head(options, width)
    if reads_frames(options):
        with torch.no_grad():
            for weight in head.parameters():
                weight.normal_(0.0, INITIAL_STD)
    return TokenModel(options, STATE_BEFORE_ACTION, embed, entry, backbone, head)


def window_places(options: Options) -> WindowPlaces:
    """The places of windows of K steps in episodes of up to `max_timestep` steps, and of their tokens."""
    steps, timesteps = options["context_length"], options["max_timestep"]
    return WindowPlaces(STATE_BEFORE_ACTION, steps, timesteps, options["embedding_dim"])


def transformer_entry(options: Options, dropout: float) -> OrderedDict[str, nn.Module]:
    """What tokens pass as they enter a transformer: LayerNorm, but for those of games, and dropout."""
    parts = OrderedDict[str, nn.Module]()
    if not reads_frames(options):
        parts["norm"] = nn.LayerNorm(options["embedding_dim"])
    parts["dropout"] = nn.Dropout(dropout)
    return parts
