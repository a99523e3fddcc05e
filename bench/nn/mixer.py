"""The Mamba mixer (Gu and Dao 2023, Section 3.4; DeMa Section 3.2): projections, convolution, scan, gate.

Parameter names and shapes are those of mamba-ssm's `Mamba`, so that its checkpoints load here and ours there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn.backends.select import choose_backend
from bench.nn.scan import selective_scan, selective_scan_step

if TYPE_CHECKING:
    from bench.nn.backends.numba_step import CompiledState, PreparedWeights

STEP_MIN, STEP_MAX, STEP_FLOOR = 1e-3, 1e-1, 1e-4
# Wider convolutions do not fit the compiled kernels and take the general path.
COMPILED_TAPS = 4


class MixerState(NamedTuple):
    """What one mixer remembers: the last d_conv - 1 inputs of the convolution, and the state of the scan."""

    convolution: Tensor  # (batch, d_conv - 1, channels)
    scan: Tensor  # (batch, channels, states)


StepState: TypeAlias = "MixerState | CompiledState"


class ScanInputs(NamedTuple):
    """The arguments that a mixer gives the selective scan; see the glossary of `bench.nn.scan`."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    z: Tensor
    delta_bias: Tensor


class MambaMixer(nn.Module):
    """Mamba's sequence mixer with `expand * d_model` channels; (batch, length, d_model) to the same.

    dt_rank defaults to ceil(d_model / 16); step sizes start between `step_size_minimum` and 0.1. Raises
    ValueError for a size below 1 or a step size outside of 0 ... 0.1.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dt_rank: int | None = None,
        step_size_minimum: float = STEP_MIN,
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
        if not 0 < step_size_minimum <= STEP_MAX:
            raise ValueError(
                f"step_size_minimum: expected above 0 and at most {STEP_MAX}, got {step_size_minimum}"
            )
        self.d_model, self.d_state, self.d_conv, self.dt_rank = d_model, d_state, d_conv, dt_rank
        self.step_size_minimum = step_size_minimum
        self.channels = channels = expand * d_model
        self.in_proj = nn.Linear(d_model, 2 * channels, bias=False)
        self.conv1d = nn.Conv1d(channels, channels, d_conv, groups=channels, padding=d_conv - 1)
        self.x_proj = nn.Linear(channels, dt_rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(dt_rank, channels)
        self.A_log = nn.Parameter(torch.empty(channels, d_state))
        self.D = nn.Parameter(torch.empty(channels))
        self.out_proj = nn.Linear(channels, d_model, bias=False)
        # Weights laid out for the compiled step, and the versions of the parameters they were laid out from.
        self._prepared: tuple[list[int], PreparedWeights] | None = None
        self.reset_scan_parameters()

    @torch.no_grad()
    def reset_scan_parameters(self) -> None:
        """Initialise x_proj, dt_proj, A_log and D as Mamba does (Gu and Dao 2023, Section 3.6)."""
        self.x_proj.reset_parameters()
        bound = self.dt_rank**-0.5
        self.dt_proj.weight.uniform_(-bound, bound)
        # softplus(bias) is log-uniform from step_size_minimum to STEP_MAX; x + log(1 - exp(-x)) inverts it.
        low, high = math.log(self.step_size_minimum), math.log(STEP_MAX)
        uniform = torch.rand_like(self.dt_proj.bias)
        step = torch.exp(uniform * (high - low) + low).clamp(min=min(STEP_FLOOR, self.step_size_minimum))
        self.dt_proj.bias.copy_(step + torch.log(-torch.expm1(-step)))
        ladder = torch.arange(1, self.d_state + 1, dtype=self.A_log.dtype, device=self.A_log.device)
        self.A_log.copy_(torch.log(ladder).expand_as(self.A_log))
        self.D.fill_(1.0)

    def forward(self, x: Tensor, resets: Tensor | None = None) -> Tensor:
        """Mix (batch, length, d_model); `resets` (batch, length), bool, marks tokens that begin a trajectory.

        Neither the convolution nor the scan looks back over such a token.
        Raises ValueError for a wrong shape, TypeError for a wrong dtype, FloatingPointError for NaN on a CPU.
        """
        self._check(x, ("batch", "length"))
        if resets is not None and (resets.shape != x.shape[:2] or resets.dtype != torch.bool):
            raise ValueError(
                f"resets: expected a bool tensor of shape (batch, length) = {tuple(x.shape[:2])}, "
                f"got {resets.dtype} of {tuple(resets.shape)}"
            )
        xz = self.in_proj(x)
        if self._compiled(x.device, xz.dtype):
            from bench.nn.backends.numba_mixer import mix

            return self.out_proj(mix(xz, *self._weights(), resets))
        given = self._scan_inputs(xz, resets)
        return self.out_proj(selective_scan(**given._asdict(), resets=resets))

    def prefill(self, x: Tensor, resets: Tensor | None = None) -> tuple[Tensor, MixerState]:
        """What `forward` gives for x (batch, length, d_model), and the state after its last token."""
        self._check(x, ("batch", "length"))
        xz = self.in_proj(x)
        given = self._scan_inputs(xz, resets)
        y, scan_state = selective_scan(**given._asdict(), resets=resets, return_final_state=True)
        inner = xz.chunk(2, dim=-1)[0]
        if resets is not None:
            segment = resets.cumsum(1)
            inner = inner * (segment == segment[:, -1:]).unsqueeze(-1)
        window = F.pad(inner, (0, 0, self.d_conv - 1, 0))[:, x.shape[1] :]
        return self.out_proj(y), MixerState(window, scan_state)

    def scan_inputs(self, x: Tensor, resets: Tensor | None = None) -> ScanInputs:
        """Return what the scan is given for x (batch, length, d_model): everything before the recurrence."""
        self._check(x, ("batch", "length"))
        return self._scan_inputs(self.in_proj(x), resets)

    def step(self, x: Tensor, state: StepState) -> tuple[Tensor, StepState]:
        """Advance by one token x (batch, d_model); returns y (batch, d_model) and the new state.

        Without gradients and on a CPU the state takes the compiled kernels' layout at the first step and is
        from then on overwritten: copy one to keep it. Raises ValueError for a wrong shape.
        """
        self._check(x, ("batch",))
        if not torch.is_grad_enabled() and self._compiled(x.device, x.dtype):
            return self._compiled_step(x, state)
        if not isinstance(state, MixerState):
            from bench.nn.backends.numba_step import plain_state

            state = MixerState(*plain_state(state, self.channels, self.d_state, self.d_conv))
        inner, gate = self.in_proj(x).chunk(2, dim=-1)
        window = torch.cat([state.convolution, inner.unsqueeze(1)], dim=1)
        weight, bias = self._convolution()
        u = F.silu(torch.einsum("bkc,ck->bc", window, weight.squeeze(1)) + bias)
        given = self._project(u, gate)
        y, scan_state = selective_scan_step(state.scan, **given._asdict())
        return self.out_proj(y), MixerState(window[:, 1:], scan_state)

    def _compiled_step(self, x: Tensor, state: StepState) -> tuple[Tensor, StepState]:
        from bench.nn.backends.numba_step import advance, compiled_state, prepare

        versions = [parameter._version for parameter in self.parameters()]
        if isinstance(state, MixerState) or self._prepared is None or self._prepared[0] != versions:
            self._prepared = versions, prepare(*self._weights())
        if isinstance(state, MixerState):
            state = compiled_state(state.convolution, state.scan)
        return self.out_proj(advance(self.in_proj(x), state, self._prepared[1])), state

    def allocate_state(self, batch: int) -> MixerState:
        """Return the state before any token: zeros, on the device and in the dtype of the parameters."""
        weight = self.in_proj.weight
        return MixerState(
            weight.new_zeros(batch, self.d_conv - 1, self.channels),
            weight.new_zeros(batch, self.channels, self.d_state),
        )

    def _scan_inputs(self, xz: Tensor, resets: Tensor | None) -> ScanInputs:
        inner, gate = xz.chunk(2, dim=-1)
        u = F.silu(causal_convolution(inner, *self._convolution(), resets))
        return self._project(u, gate)

    def _project(self, u: Tensor, gate: Tensor) -> ScanInputs:
        low_rank, B, C = self.x_proj(u).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        delta = F.linear(low_rank, self.dt_proj.weight)
        return ScanInputs(u, delta, -torch.exp(self.A_log), B, C, self.D, gate, self.dt_proj.bias)

    def _compiled(self, device: torch.device, dtype: torch.dtype) -> bool:
        fits = dtype == torch.float32 and self.d_conv <= COMPILED_TAPS
        return fits and choose_backend("auto", device, dtype) == "numba"

    def _weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        weight, bias = self._convolution()
        decay = -torch.exp(self.A_log)
        return weight, bias, self.x_proj.weight, self.dt_proj.weight, self.dt_proj.bias, decay, self.D

    def _convolution(self) -> tuple[Tensor, Tensor]:
        assert self.conv1d.bias is not None
        return self.conv1d.weight, self.conv1d.bias

    def _check(self, x: Tensor, axes: tuple[str, ...]) -> None:
        if x.dim() != len(axes) + 1 or x.shape[-1] != self.d_model:
            shape = ", ".join([*axes, f"d_model = {self.d_model}"])
            raise ValueError(f"x: expected shape ({shape}), got {tuple(x.shape)}")


def causal_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, resets: Tensor | None = None
) -> Tensor:
    """Convolve each channel over the tokens up to and including its own.

    x (batch, length, channels), weight (channels, 1, taps), bias (channels,), resets (batch, length). Taps
    that lie before the sequence, or before the last reset, read zero.
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
