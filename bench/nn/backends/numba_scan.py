"""The selective scan on a CPU in float32, by the compiled kernels: layouts, work sharing, and the autograd node."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from numba import boolean, float32, int64, types, uint8
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.nn.checks import require_finite
from bench.nn.kernels import scan as kernels
from bench.nn.kernels.cache import compile_kernel
from bench.nn.kernels.vector import LANES, UNROLL

# Work is cut into this many shares at most, whatever the number of threads: sums over shares, and so results, do not
# depend on it.
ROW_SHARES, BLOCK_SHARES = 8, 2

Array = NDArray[Any]
Span = tuple[int, int]


@cache
def kernel(name: str) -> Callable[..., Any]:
    """Compile `scan_forward` or `scan_backward`, or find it compiled."""
    span, tokens = types.UniTuple(int64, 2), float32[:, :, :]
    blocks2, blocks3 = float32[:, ::1], float32[:, :, ::1]
    inputs = (
        span, span, tokens, tokens, blocks3, tokens, tokens, blocks2, tokens, blocks2, boolean, boolean, uint8[:, ::1],
    )  # fmt: skip
    states, flat, runs = float32[:, :, :, :, ::1], float32[::1], int64[::1]
    if name == "scan_forward":
        return compile_kernel(kernels.scan_forward, float32(*inputs, tokens, states, int64, flat, runs))
    blocks4 = float32[:, :, :, ::1]
    outputs = (states, tokens, blocks4, tokens, tokens, tokens, tokens, tokens, blocks4, flat, flat, flat, runs)
    return compile_kernel(kernels.scan_backward, types.void(*inputs, *outputs))


@dataclass(frozen=True)
class Operands:
    """The inputs of one scan in the kernels' layout: `arrays` in their order, and the sizes."""

    arrays: tuple[Any, ...]
    batch: int
    length: int
    channels: int
    states: int
    padded_states: int

    @property
    def blocks(self) -> int:
        """Number of channel blocks."""
        return math.ceil(self.channels / LANES)

    def shares(self) -> tuple[list[Span], list[Span]]:
        """Return the ranges of batch rows and of channel blocks that are worked on apart."""
        spans = 1 if self.batch > 1 else min(BLOCK_SHARES, self.blocks)
        return cut(self.batch, min(ROW_SHARES, self.batch)), cut(self.blocks, spans)


def operands(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    resets: Tensor | None,
) -> Operands:
    """Lay out the arguments of a scan (shapes as `bench.nn.scan.selective_scan`) for the kernels."""
    (batch, length, channels), states = u.shape, A.shape[1]
    padded = math.ceil(states / UNROLL) * UNROLL
    nothing = u.new_zeros(channels)
    arrays = (
        tokens(u),
        tokens(delta),
        array(by_block(A.detach().t() * (1 / math.log(2)), padded)),
        array(F.pad(B.detach(), (0, padded - states))),
        array(F.pad(C.detach(), (0, padded - states))),
        array(by_block(nothing if D is None else D.detach()).squeeze(1)),
        tokens(u if z is None else z),
        array(by_block(nothing if delta_bias is None else delta_bias.detach()).squeeze(1)),
        z is not None,
        delta_softplus,
        flags(resets),
    )
    return Operands(arrays, batch, length, channels, states, padded)


def forward(given: Operands, initial_state: Tensor | None, keep: bool) -> tuple[Tensor, Tensor, bool]:
    """Return y, the states (batch, slots, blocks, states, LANES) and whether y is finite."""
    chunks = math.ceil(given.length / kernels.CHUNK)
    states = torch.empty(given.batch, chunks * keep + 1, given.blocks, given.padded_states, LANES)
    if initial_state is None:
        states[:, 0].zero_()
    else:
        states[:, 0] = by_block(initial_state.detach().transpose(1, 2), given.padded_states)
    y = torch.empty(given.batch, given.length, given.channels)
    run = kernel("scan_forward")

    def work(rows: Span, span: Span, share: int) -> float:
        return run(rows, span, *given.arrays, array(y), array(states), int(keep), *scratch(given.padded_states)[::3])

    return y, states, all(outcome == 0.0 for outcome in on_threads(work, *given.shares()))


@dataclass(frozen=True)
class Gradients:
    """Gradients of a scan's inputs, shaped as the inputs."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    delta_bias: Tensor
    initial_state: Tensor


def backward(
    given: Operands, states: Tensor, grad_y: Tensor, grad_state: Tensor | None, grad_z: Tensor | None
) -> Gradients:
    """Return all gradients but that of z, which is written into `grad_z`; states as `forward` kept them."""
    batch, length, channels, padded = given.batch, given.length, given.channels, given.padded_states
    rows, spans = given.shares()
    grad_u, grad_delta = torch.empty(batch, length, channels), torch.empty(batch, length, channels)
    grad_B, grad_C = (torch.empty(len(spans), batch, length, padded) for _ in range(2))
    parameters = torch.zeros(len(rows), 2, given.blocks, padded + 2, LANES)
    if grad_state is None:
        adjoint = torch.zeros(batch, given.blocks, padded, LANES)
    else:
        adjoint = by_block(grad_state.transpose(1, 2), padded).contiguous()
    outputs = (array(grad_u), array(grad_delta), array(grad_u if grad_z is None else grad_z))
    gradient, run = tokens(grad_y), kernel("scan_backward")

    def work(row_span: Span, span: Span, share: int) -> None:
        row_share, span_share = divmod(share, len(spans))
        run(
            row_span, span, *given.arrays, array(states), gradient, array(adjoint), *outputs,
            array(grad_B[span_share]), array(grad_C[span_share]), array(parameters[row_share]), *scratch(padded),
        )  # fmt: skip

    on_threads(work, rows, spans)
    summed = (parameters[:, 0] - parameters[:, 1]).double().sum(0).float()
    by_channel = from_blocks(summed, channels)
    states_only = slice(0, given.states)
    return Gradients(
        grad_u, grad_delta, by_channel[states_only].t(), grad_B.sum(0)[..., states_only],
        grad_C.sum(0)[..., states_only], by_channel[padded], by_channel[padded + 1],
        from_blocks(adjoint, channels)[:, states_only].transpose(1, 2),
    )  # fmt: skip


def scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    initial_state: Tensor | None,
    resets: Tensor | None,
    return_final_state: bool,
) -> tuple[Tensor, Tensor | None]:
    """Compute y and, where wanted, the final state; shapes as `bench.nn.scan.selective_scan`. Half precision is widened."""
    wide = [None if x is None else x.float() for x in (u, delta, A, B, C, D, z, delta_bias, initial_state)]
    keep = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in wide)
    y, final_state = _Scan.apply(*wide, delta_softplus, resets, keep, return_final_state)
    return y.to(u.dtype), final_state


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, z: Tensor | None,
        delta_bias: Tensor | None, initial_state: Tensor | None, smooth: bool, resets: Tensor | None, keep: bool,
        return_final_state: bool,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        given = operands(u, delta, A, B, C, D, z, delta_bias, smooth, resets)
        y, states, finite = forward(given, initial_state, keep)
        if not finite:
            require_finite(
                u=u, delta=delta, A=A, B=B, C=C, D=D, z=z, delta_bias=delta_bias, initial_state=initial_state
            )
        if keep:
            ctx.smooth = smooth
            ctx.save_for_backward(u, delta, A, B, C, D, z, delta_bias, initial_state, resets, states)
        if not return_final_state:
            return y, None
        return y, from_blocks(states[:, -1], u.shape[2])[:, : A.shape[1]].transpose(1, 2).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_state: Tensor | None) -> tuple[Tensor | None, ...]:
        u, delta, A, B, C, D, z, delta_bias, initial_state, resets, states = ctx.saved_tensors
        grad_z = None if z is None else torch.empty_like(z, memory_format=torch.contiguous_format)
        given = operands(u, delta, A, B, C, D, z, delta_bias, ctx.smooth, resets)
        grads = backward(given, states, grad_y, grad_state, grad_z)
        return (
            grads.u, grads.delta, grads.A, grads.B, grads.C, None if D is None else grads.D, grad_z,
            None if delta_bias is None else grads.delta_bias,
            None if initial_state is None else grads.initial_state, None, None, None, None,
        )  # fmt: skip


def array(tensor: Tensor) -> Array:
    """Return a tensor's memory as a numpy array."""
    result: Array = tensor.detach().numpy()
    return result


def tokens(tensor: Tensor) -> Array:
    """`array` of (batch, length, channels), copied only where neighbouring channels lie apart."""
    return array(tensor if tensor.stride(-1) == 1 else tensor.contiguous())


def flags(resets: Tensor | None) -> Array:
    """Return resets (batch, length) as bytes, and none as an empty array."""
    return array(torch.zeros(0, 0, dtype=torch.uint8) if resets is None else resets.to(torch.uint8).contiguous())


def by_block(rows: Tensor, padded_rows: int | None = None) -> Tensor:
    """(..., rows, channels) to (..., blocks, padded_rows, LANES), contiguous, padded with zeros."""
    rows = rows.unsqueeze(0) if rows.dim() == 1 else rows
    count, channels = rows.shape[-2:]
    blocks = math.ceil(channels / LANES)
    rows = F.pad(rows, (0, blocks * LANES - channels, 0, (padded_rows or count) - count))
    return rows.unflatten(-1, (blocks, LANES)).transpose(-3, -2).contiguous()


def from_blocks(lines: Tensor, channels: int) -> Tensor:
    """(..., blocks, rows, LANES) to (..., rows, channels)."""
    return lines.transpose(-3, -2).flatten(-2)[..., :channels]


def scratch(states: int) -> tuple[Array, ...]:
    """Return what one call of a kernel writes its intermediate values to: lines, tiles, sums, runs."""
    sizes = (kernels.LINES * LANES, 2 * UNROLL * LANES, 2 * states * LANES)
    return (
        *(array(torch.empty(kernels.CHUNK * size)) for size in sizes),
        array(torch.empty(kernels.CHUNK + 1, dtype=torch.int64)),
    )


def cut(size: int, parts: int) -> list[Span]:
    """Cut range(size) into `parts` spans of nearly equal length."""
    edges = [size * part // parts for part in range(parts + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def on_threads(work: Callable[[Span, Span, int], Any], rows: list[Span], spans: list[Span]) -> list[Any]:
    """Call `work` for every share, on as many threads as torch uses; outcomes in the shares' order."""
    shares = [(row, span) for row in rows for span in spans]
    threads = min(torch.get_num_threads(), len(shares))
    if threads == 1:
        return [work(row, span, index) for index, (row, span) in enumerate(shares)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda item: work(*item[1], item[0]), enumerate(shares)))
