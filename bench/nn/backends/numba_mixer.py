"""The inner part of a Mamba mixer (convolution, SiLU, x_proj, dt_proj, scan, gate) as one autograd node on a CPU.

One node spares what autograd would do between them: copies of the halves of in_proj's output, a transposed convolution,
separate gradients that are then summed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from numba import float32, int64, types, uint8
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.nn.backends import numba_scan
from bench.nn.backends.numba_scan import ROW_SHARES, Span, array, by_block, cut, from_blocks, on_threads, tokens
from bench.nn.checks import require_finite
from bench.nn.kernels import convolution as kernels
from bench.nn.kernels.cache import compile_kernel
from bench.nn.kernels.vector import LANES


@cache
def kernel(name: str) -> Callable[..., Any]:
    """Compile `convolution_forward` or `convolution_backward`, or find it compiled."""
    inputs = (types.UniTuple(int64, 2), float32[:, :, :], float32[:, :, ::1], float32[:, ::1], uint8[:, ::1])
    if name == "convolution_forward":
        return compile_kernel(kernels.convolution_forward, types.void(*inputs, float32[:, :, :]))
    outputs = (float32[:, :, :], float32[:, :, :], float32[:, :, :, ::1], float32[:, ::1])
    return compile_kernel(kernels.convolution_backward, types.void(*inputs, *outputs))


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
    """Map in_proj's output (batch, length, 2 channels) to out_proj's input (batch, length, channels).

    The weights are those of `bench.nn.mixer.MambaMixer`; A is -exp(A_log). Raises FloatingPointError for NaN or
    infinity in any of them.
    """
    given = (xz, conv_weight, conv_bias, x_proj, dt_weight, dt_bias, A, D)
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given)
    return _Mix.apply(*given, resets, keep)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, xz: Tensor, conv_weight: Tensor, conv_bias: Tensor, x_proj: Tensor, dt_weight: Tensor,
        dt_bias: Tensor, A: Tensor, D: Tensor, resets: Tensor | None, keep: bool,
    ) -> Tensor:  # fmt: skip
        x, z = xz.chunk(2, dim=-1)
        u = convolve(x, conv_weight, conv_bias, resets)
        projected = F.linear(u, x_proj)
        low_rank, B, C = split(projected, dt_weight.shape[1])
        delta = F.linear(low_rank, dt_weight)
        scanned = numba_scan.operands(u, delta, A, B, C, D, z, dt_bias, True, resets)
        y, states, finite = numba_scan.forward(scanned, None, keep)
        if not finite:
            names = ("x", "conv1d.weight", "conv1d.bias", "x_proj", "dt_proj.weight", "dt_proj.bias", "A", "D")
            weights = (conv_weight, conv_bias, x_proj, dt_weight, dt_bias, A, D)
            require_finite(**dict(zip(names, (xz, *weights), strict=True)))
        if keep:
            ctx.save_for_backward(
                xz, conv_weight, conv_bias, x_proj, dt_weight, dt_bias, A, D, resets, u, projected, delta, states
            )
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        (xz, conv_weight, conv_bias, x_proj, dt_weight, dt_bias, A, D, resets, u, projected, delta, states) = (
            ctx.saved_tensors
        )
        x, z = xz.chunk(2, dim=-1)
        low_rank, B, C = split(projected, dt_weight.shape[1])
        grad_xz, grad_projected = torch.empty_like(xz), torch.empty_like(projected)
        grad_x, grad_z = grad_xz.chunk(2, dim=-1)
        scanned = numba_scan.operands(u, delta, A, B, C, D, z, dt_bias, True, resets)
        grads = numba_scan.backward(scanned, states, grad_y, None, grad_z)
        grad_delta, rows = grads.delta.flatten(0, 1), projected.flatten(0, 1)
        for part, grad in zip(
            split(grad_projected, dt_weight.shape[1]), (grads.delta @ dt_weight, grads.B, grads.C), strict=True
        ):
            part.copy_(grad)
        grad_dt_weight = grad_delta.t() @ rows[:, : dt_weight.shape[1]]
        grad_rows = grad_projected.flatten(0, 1)
        grad_u = grads.u.flatten(0, 1).addmm_(grad_rows, x_proj).view_as(u)
        grad_x_proj = grad_rows.t() @ u.flatten(0, 1)
        grad_conv = convolve_backward(x, conv_weight, conv_bias, resets, grad_u, grad_x)
        return (grad_xz, *grad_conv, grad_x_proj, grad_dt_weight, grads.delta_bias, grads.A, grads.D, None, None)


def convolve(x: Tensor, weight: Tensor, bias: Tensor, resets: Tensor | None) -> Tensor:
    """SiLU of the causal convolution of x (batch, length, channels); weight (channels, 1, taps)."""
    u = torch.empty(x.shape)
    given, rows = _convolution_operands(x, weight, bias, resets)
    run = kernel("convolution_forward")
    on_threads(lambda span, _, __: run(span, *given, array(u)), rows, [(0, 1)])
    return u


def convolve_backward(
    x: Tensor, weight: Tensor, bias: Tensor, resets: Tensor | None, grad_u: Tensor, grad_x: Tensor
) -> tuple[Tensor, Tensor]:
    """Write the gradient of x into grad_x, overwrite grad_u, and return the gradients of weight and bias."""
    given, rows = _convolution_operands(x, weight, bias, resets)
    taps = weight.shape[2]
    parameters = torch.zeros(len(rows), 2, math.ceil(x.shape[2] / LANES), taps + 1, LANES)
    gradient, output, run = tokens(grad_u), array(grad_x), kernel("convolution_backward")

    def work(span: Span, _: Span, share: int) -> None:
        run(span, *given, gradient, output, array(parameters[share]), array(torch.empty(taps + 1, LANES)))

    on_threads(work, rows, [(0, 1)])
    summed = from_blocks((parameters[:, 0] - parameters[:, 1]).double().sum(0).float(), x.shape[2])
    return summed[:taps].t().unsqueeze(1), summed[taps]


def _convolution_operands(
    x: Tensor, weight: Tensor, bias: Tensor, resets: Tensor | None
) -> tuple[tuple[Any, ...], list[Span]]:
    given = (
        tokens(x),
        array(by_block(weight.detach().squeeze(1).t())),
        array(by_block(bias.detach()).squeeze(1)),
        numba_scan.flags(resets),
    )
    return given, cut(x.shape[0], min(ROW_SHARES, x.shape[0]))


def split(projected: Tensor, dt_rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split x_proj's output into the low-rank step, B and C."""
    states = (projected.shape[-1] - dt_rank) // 2
    low_rank, B, C = projected.split([dt_rank, states, states], dim=-1)
    return low_rank, B, C
