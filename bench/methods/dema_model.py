"""The model of DeMa, with Mamba blocks alone or with a scan in a transformer's blocks.

`bench.methods.dema` says what each option is; Q-DeMa guides the same model by critics.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import nn

from bench.catalogue.option_types import Options
from bench.methods.heads import action_head
from bench.methods.return_conditioned import StepEmbeddings
from bench.methods.token_layout import STATE_BEFORE_ACTION, TokenLayout, layout_named
from bench.methods.token_model import TokenModel
from bench.nn.backbone import Backbone
from bench.nn.linear import INITIAL_STD
from bench.nn.mamba import MambaMixer, SelectiveMixer
from bench.nn.scan_mixer import ScanMixer


def dema_model(options: Options) -> TokenModel:
    """DeMa, freshly initialised from torch's global generator."""
    return post_block_model(options) if options["block"] == "post" else pre_block_model(options)


def pre_block_model(options: Options) -> TokenModel:
    """Mamba blocks of width `d_model` over tokens of width `embedding_dim`, without feed-forward layers.

    Dropout acts on the embedded tokens and nowhere else; the head reads what the blocks give.
    """
    width, inner = options["embedding_dim"], options["d_model"]
    layout = layout_named(options["token_order"], options["tokens"] == "bl3d")
    embed = StepEmbeddings(options)
    entry = nn.Sequential(
        OrderedDict(
            dropout=nn.Dropout(options["dropout"]),
            project=nn.Linear(3 * width if layout.merged else width, inner),
        )
    )
    backbone = Backbone(
        options["layers"], inner, mixer=lambda _: mamba_mixer(inner, options), norm=options["norm"]
    )
    model = TokenModel(options, layout, embed, entry, backbone, action_head(options, inner))
    if options["initialisation"] == "authors":
        draw_as_mamba_language_model(model)
    return model


def post_block_model(options: Options) -> TokenModel:
    """The Decision Transformer's model with a scan in the place of attention, at width `embedding_dim`.

    Merged tokens, which DT does not have, are mapped from 3 D to D before they enter.
    """
    width, dropout = options["embedding_dim"], options["post_dropout"]
    layout = TokenLayout(STATE_BEFORE_ACTION.kinds, options["tokens"] == "bl3d")
    embed = StepEmbeddings(options)
    steps = OrderedDict[str, nn.Module](project=nn.Linear(3 * width, width)) if layout.merged else {}
    entry = nn.Sequential(OrderedDict(**steps, norm=nn.LayerNorm(width), dropout=nn.Dropout(dropout)))
    backbone = Backbone(
        options["layers"],
        width,
        mixer=lambda _: post_mixer(width, options),
        feed_forward=options["activation"],
        dropout=dropout,
    )
    model = TokenModel(options, layout, embed, entry, backbone, action_head(options, width))
    if options["initialisation"] == "authors":
        draw_as_gpt2(backbone)
    return model


def mamba_mixer(width: int, options: Options) -> MambaMixer:
    """A whole Mamba mixer."""
    return MambaMixer(width, options["d_state"], options["d_conv"], options["expand"])


def post_mixer(width: int, options: Options) -> SelectiveMixer:
    """What stands in the place of attention: the scan and its convolution alone, or a whole Mamba mixer."""
    if options["post_mixer"] == "mamba":
        return mamba_mixer(width, options)
    return ScanMixer(width, options["d_state"], options["d_conv"])


@torch.no_grad()
def draw_as_mamba_language_model(model: TokenModel) -> None:
    """Start a model as Mamba's language model starts, which DeMa's code takes over (gym, models/ssm.py).

    Linear layers keep PyTorch's weights, out_proj's over the square root of the number of layers; their
    biases are zero but for the step sizes'; the timestep embedding is normal with deviation 0.02.
    """
    mixers = [module for module in model.modules() if isinstance(module, MambaMixer)]
    for mixer in mixers:
        mixer.out_proj.weight /= math.sqrt(len(mixers))
    step_sizes = [mixer.dt_proj for mixer in mixers]
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.weight.normal_(0.0, INITIAL_STD)
        elif isinstance(module, nn.Linear) and module.bias is not None and module not in step_sizes:
            module.bias.zero_()


@torch.no_grad()
def draw_as_gpt2(backbone: Backbone) -> None:
    """Start every linear layer of a backbone as GPT-2's, those of the scan too.

    In DeMa's code (gym, models/trajectory_gpt2.py) the transformer's initialiser runs after the scan's: step
    sizes then start near softplus(0) = 0.69, and not between 0.001 and 0.1.
    """
    for module in backbone.modules():
        if isinstance(module, nn.Linear):
            module.weight.normal_(0.0, INITIAL_STD)
            if module.bias is not None:
                module.bias.zero_()
