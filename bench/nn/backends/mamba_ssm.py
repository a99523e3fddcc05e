"""The selective scan on a GPU by the CUDA kernels of the optional package mamba-ssm.

An oracle for the Triton backend, used where it is named. Its backward sums with atomic additions: gradients
differ in the last bits between runs, and torch's deterministic mode does not notice. It knows neither an
initial state nor trajectory boundaries; trajectories are given to it as batch rows of their own. Its backward
drops the gradient of the final state.
"""

from __future__ import annotations

import torch
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
    """Compute y and, with `return_final_state`, the final state; shapes as `bench.nn.scan.selective_scan`.

    Raises RuntimeError for what `lacks` names.
    """
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    inputs = (u, delta, A, B, C, D, z, delta_bias)
    tracked = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    lacking = lacks(initial_state, resets, return_final_state, tracked)
    if lacking:
        raise RuntimeError(f"{lacking}; use backend 'triton'")
    place = None if resets is None else trajectory_places(resets)
    y, state = selective_scan_fn(
        channel_major(u, place),
        channel_major(delta, place),
        A.float(),
        channel_major(B, place),
        channel_major(C, place),
        None if D is None else D.float(),
        None if z is None else channel_major(z, place),
        None if delta_bias is None else delta_bias.float(),
        delta_softplus=delta_softplus,
        return_last_state=True,
    )
    y = y.transpose(1, 2)
    return y if place is None else y[place], state if return_final_state else None


def lacks(
    initial_state: Tensor | None, resets: Tensor | None, return_final_state: bool, tracked: bool
) -> str:
    """Say which argument the kernels cannot honour, or nothing; `tracked`: gradients are asked for."""
    if initial_state is not None:
        return "initial_state: backend 'mamba_ssm' starts from zero"
    if resets is not None and return_final_state:
        return "return_final_state: backend 'mamba_ssm' has no final state beside resets"
    if tracked and return_final_state:
        return "return_final_state: backend 'mamba_ssm' has no gradient of the final state"
    return ""


def trajectory_places(resets: Tensor) -> tuple[Tensor, Tensor]:
    """Return, for every token of resets (batch, length), which trajectory it is in and where in it."""
    starts = resets.clone()
    starts[:, 0] = True
    trajectory = starts.flatten().cumsum(0).view_as(resets) - 1
    index = torch.arange(resets.numel(), device=resets.device)
    first = index[starts.flatten()]
    return trajectory, index.view_as(resets) - first[trajectory]


def channel_major(x: Tensor, place: tuple[Tensor, Tensor] | None) -> Tensor:
    """(batch, length, size) to (batch, size, length); with `place` trajectories are padded rows."""
    if place is not None:
        trajectory, position = place
        packed = x.new_zeros(int(trajectory[-1, -1]) + 1, int(position.max()) + 1, x.shape[2])
        x = packed.index_put((trajectory, position), x)
    return x.transpose(1, 2).contiguous()
