"""The selective scan to be timed: its arguments, with gate, skip and bias, token-major, and its passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.nn.scan import selective_scan

Scan = Callable[..., Tensor]


def ours(backend: str) -> Scan:
    """Our scan by one of its backends."""

    def scan(*given: Tensor) -> Tensor:
        y = selective_scan(*given, backend=backend)
        assert isinstance(y, Tensor)
        return y

    return scan


def scan_inputs(
    batch: int, length: int, channels: int, states: int, device: torch.device | str = "cpu"
) -> list[Tensor]:
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
    return [tensor.to(device).requires_grad_() for tensor in made]


def forward(scan: Scan, inputs: list[Tensor]) -> Callable[[], Any]:
    """One forward pass, without gradients."""

    def run() -> Tensor:
        with torch.no_grad():
            return scan(*inputs)

    return run


def output_weights(inputs: list[Tensor]) -> Tensor:
    """What each output counts in the sum whose gradients are taken, (batch, length, channels)."""
    return torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(1)).to(inputs[0].device)


def forward_backward(scan: Scan, inputs: list[Tensor]) -> Callable[[], Any]:
    """One forward and backward pass, with the gradients of everything."""
    weights = output_weights(inputs)
    return lambda: torch.autograd.grad(scan(*inputs), inputs, weights)
