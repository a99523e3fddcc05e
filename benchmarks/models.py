"""Whole models around the scan: training and rollout steps, ours and with others' Mamba in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from mambapy.mamba import MambaBlock, MambaConfig
from torch import Tensor, nn
from transformers.models.mamba.configuration_mamba import MambaConfig as TransformersConfig
from transformers.models.mamba.modeling_mamba import MambaMixer as TransformersMixer

from bench.nn.attention import CausalSelfAttention
from bench.nn.backbone import Backbone
from bench.nn.mamba import MambaMixer

# DeMa and DT in the MuJoCo tasks: K = 20 steps of three tokens, three layers of width 128.
BATCH, TOKENS, LAYERS, WIDTH = 64, 60, 3, 128


class Foreign(nn.Module):
    """Someone else's mixer where ours would be."""

    def __init__(self, mixer: nn.Module) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None) -> Tensor:
        """Mix (batch, length, width)."""
        mixed: Tensor = self.mixer(x)
        return mixed


def mambapy_mixer() -> nn.Module:
    """mambapy's block with its parallel scan."""
    return MambaBlock(MambaConfig(d_model=WIDTH, n_layers=1))


def transformers_mixer() -> nn.Module:
    """The mixer of transformers, which scans step by step where no CUDA kernels are."""
    config = TransformersConfig(
        hidden_size=WIDTH, state_size=16, expand=2, conv_kernel=4, time_step_rank=WIDTH // 16, use_bias=False
    )
    return TransformersMixer(config, layer_idx=0)


def dema(mixer: Callable[[], nn.Module] | None = None) -> Backbone:
    """DeMa's backbone, with another mixer where one is given."""
    torch.manual_seed(0)
    net = Backbone(LAYERS, WIDTH, lambda _: MambaMixer(WIDTH), dropout=0.1)
    if mixer is not None:
        for block in net.blocks:
            assert isinstance(block, nn.Module)
            foreign = Foreign(mixer())
            foreign.mixer.load_state_dict(block.mixer.state_dict())  # type: ignore[operator, union-attr]
            block.mixer = foreign
    return net


def decision_transformer() -> Backbone:
    """DT's backbone: attention with one head and an MLP."""
    torch.manual_seed(0)
    return Backbone(LAYERS, WIDTH, lambda _: CausalSelfAttention(WIDTH, 1, 0.1), "relu", dropout=0.1)


def training_step(net: nn.Module) -> Callable[[], Any]:
    """Forward, backward, clipping and AdamW on one batch."""
    generator = torch.Generator().manual_seed(0)
    x, target = (torch.randn(BATCH, TOKENS, WIDTH, generator=generator) for _ in range(2))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)

    def run() -> None:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(net(x), target).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.25)
        optimizer.step()

    return run


def window_step(net: Backbone, environments: int) -> Callable[[], Any]:
    """What a window policy computes a step: the whole window again."""
    net.eval()
    x = torch.randn(environments, TOKENS, WIDTH)

    def run() -> None:
        with torch.no_grad():
            net(x)

    return run


def recurrent_step(net: Backbone, environments: int) -> Callable[[], Any]:
    """What a recurrent policy computes a step: its three tokens, from the stored state."""
    net.eval()
    x, memory = torch.randn(3, environments, WIDTH), net.allocate_state(environments, TOKENS)

    def run() -> None:
        nonlocal memory
        with torch.no_grad():
            for token in x:
                _, memory = net.step(token, memory)

    return run


def cached_step(net: Backbone, environments: int) -> Callable[[], Any]:
    """What a transformer with cached keys and values computes a step, its window nearly full."""
    net.eval()
    x, memory = torch.randn(3, environments, WIDTH), net.allocate_state(environments, TOKENS)

    def run() -> None:
        nonlocal memory
        memory = memory.at(TOKENS - 3)
        with torch.no_grad():
            for token in x:
                _, memory = net.step(token, memory)

    return run
