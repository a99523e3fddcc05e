"""The oracle: the recurrence written out token by token, in whatever dtype it is given."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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
    """DeMa equation 1 with the discretisation of equation 5; shapes as `bench.nn.scan.selective_scan`."""
    step = delta if delta_bias is None else delta + delta_bias
    if delta_softplus:
        step = F.softplus(step)
    batch, length, channels = u.shape
    state = u.new_zeros(batch, channels, A.shape[1]) if initial_state is None else initial_state
    outputs = []
    for t in range(length):
        if resets is not None:
            state = torch.where(resets[:, t, None, None], 0.0, state)
        decay = torch.exp(step[:, t, :, None] * A)
        state = decay * state + (step[:, t] * u[:, t])[:, :, None] * B[:, t, None, :]
        outputs.append((state * C[:, t, None, :]).sum(-1))
    y = torch.stack(outputs, dim=1)
    if D is not None:
        y = y + D * u
    if z is not None:
        y = y * F.silu(z)
    return y.to(u.dtype), state if return_final_state else None
