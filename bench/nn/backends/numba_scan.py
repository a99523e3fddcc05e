"""The selective scan on a CPU in float32, by the compiled kernels, as an autograd node."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.nn.backends import layout
from bench.nn.backends.layout import Array, Rows, array, by_block, from_blocks
from bench.nn.checks import require_finite
from bench.nn.kernels import scan_backward, scan_forward
from bench.nn.kernels.cache import Compiled, compile_kernel
from bench.nn.kernels.vector import LANES, UNROLL

CHUNK = scan_forward.CHUNK


@cache
def forward_kernel() -> Compiled:
    """Compile the forward kernel, or find it compiled."""
    return compile_kernel(scan_forward.scan_forward, scan_forward.SIGNATURE)


@cache
def backward_kernel() -> Compiled:
    """Compile the backward kernel, or find it compiled."""
    return compile_kernel(scan_backward.scan_backward, scan_backward.SIGNATURE)


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
        return layout.blocks_of(self.channels)

    def shares(self) -> list[Rows]:
        """Return the ranges of batch rows that are worked on apart."""
        return layout.shares(self.batch, self.batch * self.length * self.channels * self.padded_states)

    def scratch(self) -> tuple[Array, Array]:
        """Return what one call of a kernel keeps its intermediate values and a chunk's runs in."""
        # torch's memory is aligned to cache lines, numpy's is not.
        floats = torch.empty(scan_backward.SUMS + 2 * CHUNK * self.padded_states * LANES)
        return array(floats), np.empty(CHUNK + 1, np.int64)


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
    arrays = (
        layout.tokens(u),
        layout.tokens(delta),
        array(by_block(A.detach().t() * (1 / math.log(2)), padded)),
        layout.tokens(B if padded == states else F.pad(B.detach(), (0, padded - states))),
        layout.tokens(C if padded == states else F.pad(C.detach(), (0, padded - states))),
        layout.channels_by_block(D, channels),
        layout.tokens(u if z is None else z),
        layout.channels_by_block(delta_bias, channels),
        z is not None,
        delta_softplus,
        layout.flags(resets),
    )
    return Operands(arrays, batch, length, channels, states, padded)


def run_forward(scanned: Operands, initial_state: Tensor | None, keep: bool) -> tuple[Tensor, Tensor, bool]:
    """Return y, the states (batch, slots, blocks, states, LANES), and whether y is finite."""
    slots = math.ceil(scanned.length / CHUNK) * keep + 1
    states = torch.empty(scanned.batch, slots, scanned.blocks, scanned.padded_states, LANES)
    if initial_state is None:
        states[:, 0].zero_()
    else:
        states[:, 0] = by_block(initial_state.detach().transpose(1, 2), scanned.padded_states)
    y = torch.empty(scanned.batch, scanned.length, scanned.channels)
    kernel, outputs = forward_kernel(), (array(y), array(states), int(keep))

    def work(rows: Rows, share: int) -> Any:
        return kernel(rows, *scanned.arrays, *outputs, *scanned.scratch())

    return y, states, all(outcome == 0.0 for outcome in layout.on_threads(work, scanned.shares()))


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
    adjoint: Tensor  # of the initial state, (batch, blocks, states, LANES)


def run_backward(
    scanned: Operands,
    states: Tensor,
    grad_y: Tensor,
    grad_state: Tensor | None,
    grad_z: Tensor | None,
    consume: bool = False,
) -> Gradients:
    """Return all gradients but that of z, which is written to `grad_z`; states as `run_forward` kept them.

    With `consume` they may be overwritten: where it fits, the gradient of u takes their memory.
    """
    batch, length, channels, padded = scanned.batch, scanned.length, scanned.channels, scanned.padded_states
    shares = scanned.shares()
    place = _place_in(states, scanned) if consume else None
    grad_u = torch.empty(batch, length, channels) if place is None else place
    grad_delta = torch.empty(batch, length, channels)
    grad_B, grad_C = (torch.empty(batch, length, padded) for _ in range(2))
    parameters = torch.zeros(len(shares), 2, scanned.blocks, padded + 2, LANES)
    if grad_state is None:
        adjoint = torch.zeros(batch, scanned.blocks, padded, LANES)
    else:
        adjoint = by_block(grad_state.transpose(1, 2), padded)
    of_tokens = (grad_u, grad_delta, grad_u if grad_z is None else grad_z, grad_B, grad_C)
    outputs = [array(tensor) for tensor in of_tokens]
    inputs = (*scanned.arrays, array(states), layout.tokens(grad_y), array(adjoint))
    kernel = backward_kernel()

    def work(rows: Rows, share: int) -> None:
        kernel(rows, *inputs, *outputs, array(parameters[share]), *scanned.scratch())

    layout.on_threads(work, shares)
    of_channels = layout.from_sums(parameters, channels)
    states_only = slice(0, scanned.states)
    return Gradients(
        u=grad_u,
        delta=grad_delta,
        A=of_channels[states_only].t(),
        B=grad_B[..., states_only],
        C=grad_C[..., states_only],
        D=of_channels[padded],
        delta_bias=of_channels[padded + 1],
        adjoint=adjoint,
    )


def _place_in(states: Tensor, scanned: Operands) -> Tensor | None:
    """Return the states' memory as (batch, length, channels), None where a chunk's state is of another size.

    The kernel takes the chunks from the last to the first, and has read slot c + 1 when it writes chunk c.
    """
    if scanned.padded_states != CHUNK or scanned.channels != scanned.blocks * LANES:
        return None
    return states[:, 1:].view(scanned.batch, -1, scanned.channels)[:, : scanned.length]


def _is_last_backward() -> bool:
    """Whether the backward in progress frees its graph, so that nothing reads again what was saved.

    Torch tells it under a private name alone, for the same use by its own compiler; False where it does not.
    """
    keeps = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return keeps is not None and not keeps()


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
    """Compute y and, with `return_final_state`, the final state; shapes as `bench.nn.scan.selective_scan`.

    Half precision is computed in float32.
    """
    tensors = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    wide = [None if tensor is None else tensor.float() for tensor in tensors]
    keep = torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in wide)
    y, final_state = _Scan.apply(*wide, delta_softplus, resets, keep, return_final_state)
    return y.to(u.dtype), final_state


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor | None,
        z: Tensor | None,
        delta_bias: Tensor | None,
        initial_state: Tensor | None,
        smooth: bool,
        resets: Tensor | None,
        keep: bool,
        return_final_state: bool,
    ) -> tuple[Tensor, Tensor | None]:
        scanned = operands(u, delta, A, B, C, D, z, delta_bias, smooth, resets)
        y, states, finite = run_forward(scanned, initial_state, keep)
        if not finite:
            inputs = {
                "u": u,
                "delta": delta,
                "A": A,
                "B": B,
                "C": C,
                "D": D,
                "z": z,
                "delta_bias": delta_bias,
            }
            require_finite(**inputs, initial_state=initial_state)
        if keep:
            ctx.smooth = smooth
            ctx.save_for_backward(u, delta, A, B, C, D, z, delta_bias, initial_state, resets, states)
        if not return_final_state:
            return y, None
        return y, from_blocks(states[:, -1], scanned.channels)[:, : scanned.states].transpose(
            1, 2
        ).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_state: Tensor | None) -> tuple[Tensor | None, ...]:
        u, delta, A, B, C, D, z, delta_bias, initial_state, resets, states = ctx.saved_tensors
        scanned = operands(u, delta, A, B, C, D, z, delta_bias, ctx.smooth, resets)
        grad_z = None if z is None else torch.empty_like(z, memory_format=torch.contiguous_format)
        grads = run_backward(scanned, states, grad_y, grad_state, grad_z, _is_last_backward())
        grad_D = None if D is None else grads.D
        grad_bias = None if delta_bias is None else grads.delta_bias
        grad_initial = None
        if initial_state is not None:
            adjoint = from_blocks(grads.adjoint, scanned.channels)
            grad_initial = adjoint[:, : scanned.states].transpose(1, 2)
        return (
            *(grads.u, grads.delta, grads.A, grads.B, grads.C, grad_D, grad_z, grad_bias, grad_initial),
            *(None, None, None, None),
        )
