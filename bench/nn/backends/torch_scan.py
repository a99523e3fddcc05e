"""The selective scan in plain PyTorch, on any device: a loop over time with a hand-written backward.

No (batch, length, channels, states) tensor is ever made. The forward keeps the state once every CHUNK tokens;
the backward recomputes the states of one chunk at a time from there.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 16


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
    # Half precision accumulates in float32, as Mamba's own kernels do.
    working = torch.promote_types(u.dtype, torch.float32)
    step = delta.to(working)
    if delta_bias is not None:
        step = step + delta_bias.to(working)
    if delta_softplus:
        step = F.softplus(step)
    wide = u.to(working)
    A = A.to(working)
    if initial_state is None:
        initial_state = wide.new_zeros(u.shape[0], u.shape[2], A.shape[1])
    y, final_state = _Recurrence.apply(
        step, step * wide, A, B.to(working), C.to(working), initial_state.to(working), resets
    )
    if D is not None:
        y = y + D.to(working) * wide
    if z is not None:
        y = y * F.silu(z.to(working))
    return y.to(u.dtype), final_state if return_final_state else None


class _Recurrence(torch.autograd.Function):
    """h_t = exp(step_t A) h_{t-1} + written_t B_t and y_t = C_t h_t, where written = step u."""

    @staticmethod
    def forward(
        ctx: Any,
        step: Tensor,
        written: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        state: Tensor,
        resets: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        y = torch.empty_like(step)
        checkpoints = []
        for t in range(step.shape[1]):
            if t % CHUNK == 0:
                checkpoints.append(state)
            decay = _decay(step, A, resets, t)
            state = torch.addcmul(decay * state, written[:, t, :, None], B[:, t, None, :])
            y[:, t] = torch.bmm(state, C[:, t, :, None]).squeeze(-1)
        ctx.save_for_backward(step, written, A, B, C, resets, *checkpoints)
        return y, state

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_state: Tensor) -> tuple[Tensor | None, ...]:
        step, written, A, B, C, resets, *checkpoints = ctx.saved_tensors
        grad_step, grad_written = torch.empty_like(step), torch.empty_like(written)
        grad_A, grad_B, grad_C = torch.zeros_like(A), torch.empty_like(B), torch.empty_like(C)
        adjoint = grad_state.clone()
        for chunk in reversed(range(len(checkpoints))):
            first, last = chunk * CHUNK, min((chunk + 1) * CHUNK, step.shape[1])
            decays, states = _recompute(checkpoints[chunk], step, written, A, B, resets, first, last)
            for t in reversed(range(first, last)):
                decay, before, state = decays[t - first], states[t - first], states[t - first + 1]
                adjoint = torch.addcmul(adjoint, grad_y[:, t, :, None], C[:, t, None, :])
                grad_C[:, t] = torch.bmm(grad_y[:, t, None, :], state).squeeze(1)
                grad_B[:, t] = torch.bmm(written[:, t, None, :], adjoint).squeeze(1)
                grad_written[:, t] = torch.bmm(adjoint, B[:, t, :, None]).squeeze(-1)
                adjoint = adjoint * decay
                exponent = adjoint * before  # gradient with respect to step_t A
                grad_step[:, t] = (exponent * A).sum(-1)
                grad_A += torch.einsum("bdn,bd->dn", exponent, step[:, t])
        return grad_step, grad_written, grad_A, grad_B, grad_C, adjoint, None


def _decay(step: Tensor, A: Tensor, resets: Tensor | None, t: int) -> Tensor:
    decay = torch.exp(step[:, t, :, None] * A)
    return decay if resets is None else decay.masked_fill(resets[:, t, None, None], 0.0)


def _recompute(
    state: Tensor,
    step: Tensor,
    written: Tensor,
    A: Tensor,
    B: Tensor,
    resets: Tensor | None,
    first: int,
    last: int,
) -> tuple[list[Tensor], list[Tensor]]:
    """Return decays and states of tokens first..last-1; the list of states starts with the one before
    `first`.
    """
    decays, states = [], [state]
    for t in range(first, last):
        decay = _decay(step, A, resets, t)
        state = torch.addcmul(decay * state, written[:, t, :, None], B[:, t, None, :])
        decays.append(decay)
        states.append(state)
    return decays, states
