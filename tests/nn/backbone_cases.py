"""Small backbones of every kind of mixer."""

from __future__ import annotations

import torch

from bench.nn.attention import CausalSelfAttention
from bench.nn.backbone import Backbone
from bench.nn.convolution import ConvolutionMixer
from bench.nn.mamba import MambaMixer

WIDTH = 16


def mamba(layers, width=WIDTH, feed_forward=None, **options):
    """A backbone of Mamba mixers with those options."""
    return Backbone(layers, width, lambda _: MambaMixer(width, **options), feed_forward)


def mixer_of(kind):
    """A small mixer of width WIDTH."""
    if kind == "mamba":
        return MambaMixer(WIDTH, d_state=4)
    return CausalSelfAttention(WIDTH, 4) if kind == "attention" else ConvolutionMixer(WIDTH, window=4)


def backbone_of(*kinds, feed_forward=None, dropout=0.0):
    """A backbone with a mixer of each of these kinds, layer by layer; always the same weights."""
    torch.manual_seed(0)
    return Backbone(len(kinds), WIDTH, lambda layer: mixer_of(kinds[layer]), feed_forward, dropout)
