"""The inner part of a selective mixer on a CPU (convolution, SiLU, x_proj, dt_proj, scan, gate) as one node.

One autograd node spares what several would do between them: copies of the halves of in_proj's output, a
transposed convolution, separate gradients that are then summed.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.nn.backends import layout, numba_scan
from bench.nn.backends.layout import Rows, array
from bench.nn.checks import require_finite
from bench.nn.gate import split_gate
from bench.nn.kernels import convolution
from bench.nn.kernels.cache import Compiled, compile_kernel
from bench.nn.kernels.convolution import TAPS
from bench.nn.kernels.vector import LANES

NAMES = ("x", "conv1d.weight", "conv1d.bias", "x_proj", "dt_proj.weight", "dt_proj.bias", "A_log", "D")


@cache
def forward_kernel() -> Compiled:
    """Compile the convolution's forward kernel, or find it compiled."""
    return compile_kernel(convolution.convolution_forward, convolution.FORWARD_SIGNATURE)


@cache
def backward_kernel() -> Compiled:
    """Compile the convolution's backward kernel, or find it compiled."""
    return compile_kernel(convolution.convolution_backward, convolution.BACKWARD_SIGNATURE)


def mix(
    xz: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    x_proj: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    resets: Tensor | None,
) -> Tensor:
    """Map what a mixer reads (batch, length, channels), or that and a gate (..., 2 channels), to its output.

    The weights are those of `bench.nn.mamba.SelectiveMixer`, with at most TAPS taps; A is -exp(A_log).
    Raises FloatingPointError for NaN or infinity in any of them.
    """
    tensors = (xz, conv_weight, conv_bias, x_proj, dt_weight, dt_bias, A, D)
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    y: Tensor = _Mix.apply(*tensors, resets, keep)
    return y


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        xz: Tensor,
        conv_weight: Tensor,
        conv_bias: Tensor,
        x_proj: Tensor,
        dt_weight: Tensor,
        dt_bias: Tensor,
        A: Tensor,
        D: Tensor,
        resets: Tensor | None,
        keep: bool,
    ) -> Tensor:
        x, z = split_gate(xz, D.shape[0])
        u = convolve(x, conv_weight, conv_bias, resets)
        projected = F.linear(u, x_proj)
        low_rank, B, C = split(projected, dt_weight.shape[1])
        delta = F.linear(low_rank, dt_weight)
        scanned = numba_scan.operands(u, delta, A, B, C, D, z, dt_bias, True, resets)
        y, states, finite = numba_scan.run_forward(scanned, None, keep)
        if not finite:
            tensors = (xz, conv_weight, conv_bias, x_proj, dt_weight, dt_bias, A, D)
            require_finite(**dict(zip(NAMES, tensors, strict=True)))
        if keep:
            weights = (conv_weight, conv_bias, x_proj, dt_weight, dt_bias, A, D)
            ctx.save_for_backward(xz, *weights, resets, u, projected, delta, states)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        xz, conv_weight, conv_bias, x_proj, dt_weight, dt_bias, A, D, *computed = ctx.saved_tensors
        resets, u, projected, delta, states = computed
        x, z = split_gate(xz, D.shape[0])
        grad_xz, grad_projected = torch.empty_like(xz), torch.empty_like(projected)
        grad_x, grad_z = split_gate(grad_xz, D.shape[0])
        dt_rank = dt_weight.shape[1]
        _, B, C = split(projected, dt_rank)
        scanned = numba_scan.operands(u, delta, A, B, C, D, z, dt_bias, True, resets)
        grads = numba_scan.run_backward(scanned, states, grad_y, None, grad_z)
        grad_delta = grads.delta.flatten(0, 1)
        # A product with few columns takes several times as long as its transpose, with few rows.
        grad_low_rank = (dt_weight.t() @ grad_delta.t()).t().view(*delta.shape[:2], dt_rank)
        parts = split(grad_projected, dt_rank)
        for part, grad in zip(parts, (grad_low_rank, grads.B, grads.C), strict=True):
            part.copy_(grad)
        rows = grad_projected.flatten(0, 1)
        grad_dt_weight = (projected.flatten(0, 1)[:, :dt_rank].t() @ grad_delta).t()
        grad_u = grads.u.flatten(0, 1).addmm_(rows, x_proj).view_as(u)
        grad_x_proj = rows.t() @ u.flatten(0, 1)
        of_conv = convolve_backward(x, conv_weight, conv_bias, resets, grad_u, grad_x)
        of_scan = (grads.delta_bias, grads.A, grads.D)
        return (grad_xz, *of_conv, grad_x_proj, grad_dt_weight, *of_scan, None, None)


def convolve(x: Tensor, weight: Tensor, bias: Tensor, resets: Tensor | None) -> Tensor:
    """SiLU of the causal convolution of x (batch, length, channels); weight (channels, 1, taps)."""
    u = torch.empty(x.shape)
    inputs, output, kernel = _inputs(x, weight, bias, resets), array(u), forward_kernel()

    def work(rows: Rows, share: int) -> None:
        kernel(rows, *inputs, output)

    layout.on_threads(work, _shares(x))
    return u


def convolve_backward(
    x: Tensor, weight: Tensor, bias: Tensor, resets: Tensor | None, grad_u: Tensor, grad_x: Tensor
) -> tuple[Tensor, Tensor]:
    """Write the gradient of x into grad_x, overwrite grad_u, and return the gradients of weight and bias."""
    shares = _shares(x)
    parameters = torch.zeros(len(shares), 2, layout.blocks_of(x.shape[2]), TAPS + 1, LANES)
    inputs, kernel = _inputs(x, weight, bias, resets), backward_kernel()
    gradients = (array(grad_u), array(grad_x))

    def work(rows: Rows, share: int) -> None:
        kernel(rows, *inputs, *gradients, array(parameters[share]))

    layout.on_threads(work, shares)
    summed = layout.from_sums(parameters, x.shape[2])
    return summed[TAPS - weight.shape[2] : TAPS].t().unsqueeze(1), summed[TAPS]


def _shares(x: Tensor) -> list[Rows]:
    # A token costs the convolution about as much as eight states of the scan.
    return layout.shares(x.shape[0], x.numel() * 8)


def _inputs(x: Tensor, weight: Tensor, bias: Tensor, resets: Tensor | None) -> tuple[Any, ...]:
    taps = F.pad(weight.detach().squeeze(1).t(), (0, 0, TAPS - weight.shape[2], 0))
    blocked = layout.channels_by_block(bias, x.shape[2])
    return layout.tokens(x), array(layout.by_block(taps)), blocked, layout.flags(resets)


def split(projected: Tensor, dt_rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split x_proj's output into the low-rank step, B and C."""
    states = (projected.shape[-1] - dt_rank) // 2
    sizes = (dt_rank, dt_rank + states)
    return projected[..., : sizes[0]], projected[..., sizes[0] : sizes[1]], projected[..., sizes[1] :]
