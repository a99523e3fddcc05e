"""The Mamba mixer (Gu and Dao 2023, Section 3.4; DeMa Section 3.2): projections, convolution, scan, gate.

Parameter names and shapes are those of mamba-ssm's `Mamba`, so that its checkpoints load here and ours load there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn.backends.select import choose_backend
from bench.nn.scan import selective_scan, selective_scan_step

STEP_MIN, STEP_MAX, STEP_FLOOR = 1e-3, 1e-1, 1e-4


class MixerState(NamedTuple):
    """What one mixer remembers: the last d_conv - 1 inputs of the convolution, and the state of the scan."""

    convolution: Tensor  # (batch, d_conv - 1, channels)
    scan: Tensor  # (batch, channels, states)


class MambaMixer(nn.Module):
    """Mamba's sequence mixer with `expand * d_model` channels; (batch, length, d_model) to the same.

    dt_rank defaults to ceil(d_model / 16). Raises ValueError for a size below 1.
    """

    def __init__(
        self, d_model: int, d_state: int = 16, d_conv: int = 4, expand: int = 2, dt_rank: int | None = None
    ) -> None:
        super().__init__()
        dt_rank = math.ceil(d_model / 16) if dt_rank is None else dt_rank
        sizes = {
            "d_model": d_model,
            "d_state": d_state,
            "d_conv": d_conv,
            "expand": expand,
            "dt_rank": dt_rank,
        }
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name}: expected at least 1, got {size}")
        self.d_model, self.d_state, self.d_conv, self.dt_rank = d_model, d_state, d_conv, dt_rank
        self.channels = channels = expand * d_model
        self.in_proj = nn.Linear(d_model, 2 * channels, bias=False)
        self.conv1d = nn.Conv1d(channels, channels, d_conv, groups=channels, padding=d_conv - 1)
        self.x_proj = nn.Linear(channels, dt_rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(dt_rank, channels)
        self.A_log = nn.Parameter(torch.empty(channels, d_state))
        self.D = nn.Parameter(torch.empty(channels))
        self.out_proj = nn.Linear(channels, d_model, bias=False)
        self.reset_scan_parameters()

    @torch.no_grad()
    def reset_scan_parameters(self) -> None:
        """Initialise dt_proj, A_log and D as Mamba does (Gu and Dao 2023, Section 3.6)."""
        bound = self.dt_rank**-0.5
        self.dt_proj.weight.uniform_(-bound, bound)
        # softplus(bias) is log-uniform in [STEP_MIN, STEP_MAX]; x + log(1 - exp(-x)) inverts softplus.
        low, high = math.log(STEP_MIN), math.log(STEP_MAX)
        step = torch.exp(torch.rand(self.channels) * (high - low) + low).clamp(min=STEP_FLOOR)
        self.dt_proj.bias.copy_(step + torch.log(-torch.expm1(-step)))
        self.A_log.copy_(torch.log(torch.arange(1, self.d_state + 1.0)).expand_as(self.A_log))
        self.D.fill_(1.0)

    def forward(self, x: Tensor, resets: Tensor | None = None) -> Tensor:
        """Mix (batch, length, d_model); `resets` (batch, length), bool, marks tokens that begin a trajectory.

        Neither the convolution nor the scan looks back over such a token. Raises ValueError for a wrong shape.
        """
        if x.dim() != 3 or x.shape[2] != self.d_model:
            raise ValueError(f"x: expected shape (batch, length, {self.d_model}), got {tuple(x.shape)}")
        xz, A = self.in_proj(x), -torch.exp(self.A_log)
        if choose_backend("auto", x.device, xz.dtype) == "numba" and xz.dtype == torch.float32:
            from bench.nn.backends.numba_mixer import mix

            y = mix(
                xz, self.conv1d.weight, self.conv1d.bias, self.x_proj.weight, self.dt_proj.weight, self.dt_proj.bias,
                A, self.D, resets,
            )  # fmt: skip
            return self.out_proj(y)
        inner, gate = xz.chunk(2, dim=-1)
        u = F.silu(causal_convolution(inner, self.conv1d.weight, self.conv1d.bias, resets))
        low_rank, B, C = self._project(u)
        delta = F.linear(low_rank, self.dt_proj.weight)
        y = selective_scan(u, delta, A, B, C, self.D, gate, self.dt_proj.bias, resets=resets)
        return self.out_proj(y)

    def step(self, x: Tensor, state: MixerState) -> tuple[Tensor, MixerState]:
        """Advance by one token x (batch, d_model); returns y (batch, d_model) and the new state."""
        if x.dim() != 2 or x.shape[1] != self.d_model:
            raise ValueError(f"x: expected shape (batch, {self.d_model}), got {tuple(x.shape)}")
        inner, gate = self.in_proj(x).chunk(2, dim=-1)
        window = torch.cat([state.convolution, inner.unsqueeze(1)], dim=1)
        u = F.silu(torch.einsum("bkc,ck->bc", window, self.conv1d.weight.squeeze(1)) + self.conv1d.bias)
        low_rank, B, C = self._project(u)
        y, scan_state = selective_scan_step(
            state.scan, u, F.linear(low_rank, self.dt_proj.weight), -torch.exp(self.A_log), B, C, self.D, gate,
            self.dt_proj.bias,
        )  # fmt: skip
        return self.out_proj(y), MixerState(window[:, 1:], scan_state)

    def allocate_state(self, batch: int) -> MixerState:
        """Return the state before any token: zeros, on the device and in the dtype of the parameters."""
        weight = self.in_proj.weight
        return MixerState(
            weight.new_zeros(batch, self.d_conv - 1, self.channels),
            weight.new_zeros(batch, self.channels, self.d_state),
        )

    def _project(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        low_rank, B, C = self.x_proj(u).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        return low_rank, B, C


def causal_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, resets: Tensor | None = None
) -> Tensor:
    """Convolve each channel over the tokens up to and including its own.

    x (batch, length, channels), weight (channels, 1, taps), bias (channels,), resets (batch, length). Taps that lie
    before the sequence, or before the last reset, read zero.
    """
    length, taps = x.shape[1], weight.shape[2]
    if resets is None:
        y = F.conv1d(F.pad(x.transpose(1, 2), (taps - 1, 0)), weight, bias, groups=x.shape[2])
        return y.transpose(1, 2)
    segment = resets.cumsum(1)
    y = x * weight[:, 0, -1]
    for lag in range(1, min(taps, length)):
        same = (segment[:, lag:] == segment[:, :-lag]).unsqueeze(-1)
        term = torch.where(same, x[:, :-lag], 0.0) * weight[:, 0, taps - 1 - lag]
        y = y + F.pad(term, (0, 0, lag, 0))
    return y if bias is None else y + bias
