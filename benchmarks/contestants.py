"""The implementations of the selective scan that are compared, with gate, skip and bias, token-major."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from mambapy.pscan import pscan
from torch import Tensor
from transformers.models.mamba.modeling_mamba import mamba_selective_scan

from bench.nn.scan import selective_scan

Scan = Callable[..., Tensor]


def ours(backend: str) -> Scan:
    """Our scan by one of its backends."""

    def scan(*given: Tensor) -> Tensor:
        y = selective_scan(*given, backend=backend)
        assert isinstance(y, Tensor)
        return y

    return scan


def transformers_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, delta_bias: Tensor
) -> Tensor:
    """The PyTorch fallback of transformers: what mamba-ssm's own reference does, step by step."""
    u, delta, B, C, z = (x.transpose(1, 2) for x in (u, delta, B, C, z))
    scanned: Tensor = mamba_selective_scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus=True)
    return scanned.transpose(1, 2)


def mambapy_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, delta_bias: Tensor
) -> Tensor:
    """The parallel scan of mambapy with the discretisation around it."""
    step = F.softplus(delta + delta_bias)
    decay = torch.exp(step.unsqueeze(-1) * A)
    states = pscan(decay, (step * u).unsqueeze(-1) * B.unsqueeze(2))
    y: Tensor = (states @ C.unsqueeze(-1)).squeeze(-1) + D * u
    return y * F.silu(z)


SCANS: dict[str, Scan] = {
    "numba": ours("numba"),
    "torch": ours("torch"),
    "mambapy": mambapy_scan,
    "transformers": transformers_scan,
}


def scan_inputs(batch: int, length: int, channels: int, states: int) -> list[Tensor]:
    """Random arguments in ordinary ranges, all asking for gradients."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    tokens = (batch, length)
    made = [
        normal(*tokens, channels),
        normal(*tokens, channels),
        -torch.rand(channels, states, generator=generator) * 4,
        normal(*tokens, states),
        normal(*tokens, states),
        normal(channels),
        normal(*tokens, channels),
        normal(channels) - 3,
    ]
    return [tensor.requires_grad_() for tensor in made]


def forward(scan: Scan, inputs: list[Tensor]) -> Callable[[], Any]:
    """One forward pass, without gradients."""

    def run() -> Tensor:
        with torch.no_grad():
            return scan(*inputs)

    return run


def forward_backward(scan: Scan, inputs: list[Tensor]) -> Callable[[], Any]:
    """One forward and backward pass, with the gradients of everything."""
    weights = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(1))
    return lambda: torch.autograd.grad(scan(*inputs), inputs, weights)
