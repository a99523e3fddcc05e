"""The selective scan on a GPU by the Triton kernels of `bench.nn.kernels.triton_scan`, as an autograd node.

With TRITON_INTERPRET=1 Triton interprets the kernels, on a CPU too: slowly, for tests.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.nn.kernels import triton_scan as kernels

CHUNK = 16
# States that one program holds, and its warps. One warp needs no barrier, and 256 were fastest or nearly so
# in every shape of the papers (`python -m benchmarks.gpu scan`).
TILE, WARPS = 256, 1


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
    """Compute y and the final state; shapes as `bench.nn.scan.selective_scan`."""
    flags = None if resets is None else resets.contiguous().view(torch.uint8)
    y, final_state = _Scan.apply(
        *(tokens(u), tokens(delta), A.contiguous(), tokens(B), tokens(C)),
        *(x if x is None else x.contiguous() for x in (D, delta_bias, initial_state)),
        *(None if z is None else tokens(z), flags),
        *(delta_softplus, return_final_state, torch.is_grad_enabled()),
    )
    return y, final_state


def tokens(x: Tensor) -> Tensor:
    """(batch, length, size), copied only if neighbours of a token lie apart."""
    return x if x.stride(-1) == 1 else x.contiguous()


def strides(*sequences: Tensor | None) -> tuple[Any, ...]:
    """The strides of a batch row and of a token in each of the sequences, zeros for an absent one."""
    return tuple(size for x in sequences for size in ((0, 0) if x is None else x.stride()[:2]))


def constants(states: int, softplus: bool) -> dict[str, Any]:
    """What the kernels are compiled for."""
    width = triton.next_power_of_2(states)
    channels = max(1, TILE // width)
    return {
        "STATES": states, "WIDTH": width, "CHANNELS": channels, "CHUNK": CHUNK, "SOFTPLUS": softplus,
        "num_warps": WARPS,
    }  # fmt: skip


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
        delta_bias: Tensor | None,
        initial_state: Tensor | None,
        z: Tensor | None,
        flags: Tensor | None,
        softplus: bool,
        with_final: bool,
        keep: bool,
    ) -> tuple[Tensor, Tensor | None]:
        batch, length, channels = u.shape
        chunks, compiled = math.ceil(length / CHUNK), constants(A.shape[1], softplus)
        y = torch.empty(u.shape, dtype=u.dtype, device=u.device)
        state = (batch, channels, A.shape[1])
        final = torch.empty(state, device=u.device) if with_final else None
        saved = torch.empty(batch, chunks, *state[1:], device=u.device) if keep else None
        with torch.cuda.device_of(u):
            kernels.scan_forward[batch, math.ceil(channels / compiled["CHANNELS"])](
                *(u, delta, z, B, C, A, D, delta_bias, initial_state, flags, y, final, saved),
                *(*strides(u, delta, z, B, C), length, channels, chunks),
                **compiled,
            )
        ctx.save_for_backward(u, delta, z, B, C, A, D, delta_bias, flags, saved)
        ctx.compiled, ctx.initial_type = compiled, None if initial_state is None else initial_state.dtype
        ctx.set_materialize_grads(False)
        return y, final

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor | None, grad_final: Tensor | None) -> tuple[Tensor | None, ...]:
        u, delta, z, B, C, A, D, delta_bias, flags, saved = ctx.saved_tensors
        (batch, length, channels), states, compiled = u.shape, A.shape[1], ctx.compiled
        grad_y = torch.zeros_like(u) if grad_y is None else tokens(grad_y)
        blocks = math.ceil(channels / compiled["CHANNELS"])

        def made(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.empty(shape, dtype=dtype, device=u.device)

        grad_u, grad_delta = (made(*u.shape, dtype=u.dtype) for _ in range(2))
        grad_z = None if z is None else made(*u.shape, dtype=u.dtype)
        grad_initial = None if ctx.initial_type is None else made(batch, channels, states)
        by_block, by_row = made(blocks, 2, batch, length, states), made(batch, states + 2, channels)
        scratch = made(batch, blocks, CHUNK, compiled["CHANNELS"], compiled["WIDTH"])
        with torch.cuda.device_of(u):
            kernels.scan_backward[batch, blocks](
                *(u, delta, z, B, C, A, D, delta_bias, flags, saved),
                *(grad_y, None if grad_final is None else grad_final.contiguous(), scratch),
                *(grad_u, grad_delta, grad_z, grad_initial, by_block, by_row),
                *(*strides(u, delta, z, B, C, grad_y), length, channels, saved.shape[1], batch, blocks),
                **compiled,
            )
        (grad_B, grad_C), sums = by_block.sum(0).to(B.dtype), by_row.sum(0)
        grad_A = sums[:states].t().to(A.dtype)
        grad_D = None if D is None else sums[states].to(D.dtype)
        grad_bias = None if delta_bias is None else sums[states + 1].to(delta_bias.dtype)
        if grad_initial is not None:
            grad_initial = grad_initial.to(ctx.initial_type)
        return (
            *(grad_u, grad_delta, grad_A, grad_B, grad_C, grad_D, grad_bias, grad_initial, grad_z),
            *(None, None, None, None),
        )
