"""The Mamba mixer (Gu and Dao 2023, Section 3.4; DeMa Section 3.2): projections, convolution, scan, gate.

What surrounds the scan differs between mixers: `SelectiveMixer` holds the convolution and the scan,
`MambaMixer` adds projections and the gate, `bench.nn.scan_mixer` adds nothing. Parameter names and shapes are
those of mamba-ssm's `Mamba`, so that its checkpoints load here and ours there.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.nn.backends.select import choose_backend
from bench.nn.checks import check_flags, check_width
from bench.nn.gate import split_gate
from bench.nn.mixer import Mixer
from bench.nn.scan import selective_scan, selective_scan_step

if TYPE_CHECKING:
    from bench.nn.backends.numba_step import CompiledState, PreparedWeights

STEP_MIN, STEP_MAX, STEP_FLOOR = 1e-3, 1e-1, 1e-4
# Wider convolutions do not fit the compiled kernels and take the general path.
COMPILED_TAPS = 4


class MambaState(NamedTuple):
    """What one mixer remembers: the last d_conv - 1 inputs of the convolution, and the state of the scan."""

    convolution: Tensor  # (batch, d_conv - 1, channels)
    scan: Tensor  # (batch, channels, states)

    def forked(self, count: int) -> MambaState:
        """The state of batch * `count` rows: each row `count` times, the copies side by side."""
        return MambaState(*(values.repeat_interleave(count, dim=0) for values in self))

    def at(self, position: int) -> MambaState:
        """The state itself: it has one size, whatever the position."""
        return self


StepState: TypeAlias = "MambaState | CompiledState"


class ScanInputs(NamedTuple):
    """The arguments of the selective scan in a mixer; see the glossary of `bench.nn.scan`."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    z: Tensor | None
    delta_bias: Tensor


class SelectiveMixer(Mixer[StepState]):
    """A causal convolution, SiLU and a selective scan, and what a mixer puts around them.

    A token has `width` features, the scan `channels` channels. Step sizes start between `step_size_minimum`
    and 0.1. Raises ValueError for a size below 1 or a step size outside of 0 ... 0.1.
    """

    # x_proj makes the low-rank step, B and C; dt_proj the step; A_log the decay. With D, the skip connection,
    # left in place a mixer whose attention is zero would still pass its input on.
    attention = ("x_proj.weight", "dt_proj.weight", "dt_proj.bias", "A_log", "D")
    short_convolution = ("conv1d.weight", "conv1d.bias")

    def __init__(
        self, width: int, channels: int, d_state: int, d_conv: int, dt_rank: int, step_size_minimum: float
    ) -> None:
        super().__init__()
        sizes = {"width": width, "channels": channels, "d_state": d_state, "d_conv": d_conv}
        sizes["dt_rank"] = dt_rank
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name}: expected at least 1, got {size}")
        if not 0 < step_size_minimum <= STEP_MAX:
            raise ValueError(
                f"step_size_minimum: expected above 0 and at most {STEP_MAX}, got {step_size_minimum}"
            )
        self.width, self.d_state, self.d_conv, self.dt_rank = width, d_state, d_conv, dt_rank
        self.step_size_minimum = step_size_minimum
        self.channels = channels
        self.conv1d = nn.Conv1d(channels, channels, d_conv, groups=channels, padding=d_conv - 1)
        self.x_proj = nn.Linear(channels, dt_rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(dt_rank, channels)
        self.A_log = nn.Parameter(torch.empty(channels, d_state))
        self.D = nn.Parameter(torch.empty(channels))
        # Weights laid out for the compiled step, and the versions of the parameters they were laid out from.
        self._prepared: tuple[list[int], PreparedWeights] | None = None
        self.reset_scan_parameters()

    @abstractmethod
    def enter(self, x: Tensor) -> Tensor:
        """Map x (..., width) to the convolution's input (..., channels), with a gate to (..., 2 channels)."""

    @abstractmethod
    def leave(self, y: Tensor) -> Tensor:
        """Map the scan's output (..., channels) to (..., width)."""

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

    def forward(self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None) -> Tensor:
        """Mix (batch, length, width); mask and resets (batch, length) as for a `Mixer`.

        Neither the convolution nor the scan looks back over a token that begins a trajectory, nor over
        padding. Raises ValueError for a wrong shape, TypeError for a wrong dtype, FloatingPointError for NaN
        on a CPU.
        """
        check_width(x, ("batch", "length"), self.width)
        check_flags(x, mask=mask, resets=resets)
        resets = sequence_starts(mask, resets)
        xz = self.enter(x)
        if self._compiled(x.device, xz.dtype):
            from bench.nn.backends.numba_mixer import mix

            return self.leave(mix(xz, *self.weights(), resets))
        inputs = self._scan_inputs(xz, resets)
        y = selective_scan(**inputs._asdict(), resets=resets)
        assert isinstance(y, Tensor)
        return self.leave(y)

    def countable_forward(
        self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None
    ) -> Tensor:
        """The mixer's own layers, with the scan as one operator; only the shapes are those of `forward`."""
        from bench.nn.counted_scan import counted_scan

        inner, gate = split_gate(self.enter(x), self.channels)
        u = self.conv1d(inner.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)
        low_rank, B, C = self.x_proj(u).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        y = counted_scan(u, self.dt_proj(low_rank), -torch.exp(self.A_log), B, C)
        return self.leave(y if gate is None else y * gate)

    def prefill(self, x: Tensor, mask: Tensor | None, length: int) -> tuple[Tensor, MambaState]:
        """Return what `forward` gives for x (batch, tokens, width), and the state after its last token.

        The state has one size, whatever the `length`.
        """
        check_width(x, ("batch", "length"), self.width)
        check_flags(x, mask=mask)
        resets = sequence_starts(mask, None)
        xz = self.enter(x)
        inputs = self._scan_inputs(xz, resets)
        y, scan_state = selective_scan(**inputs._asdict(), resets=resets, return_final_state=True)
        inner = split_gate(xz, self.channels)[0]
        if resets is not None:
            segment = resets.cumsum(1)
            inner = inner * (segment == segment[:, -1:]).unsqueeze(-1)
        window = F.pad(inner, (0, 0, self.d_conv - 1, 0))[:, x.shape[1] :]
        return self.leave(y), MambaState(window, scan_state)

    def scan_inputs(self, x: Tensor, resets: Tensor | None = None) -> ScanInputs:
        """Return what the scan reads for x (batch, length, width): everything before the recurrence."""
        check_width(x, ("batch", "length"), self.width)
        return self._scan_inputs(self.enter(x), resets)

    def step(self, x: Tensor, state: StepState) -> tuple[Tensor, StepState]:
        """Advance by one token x (batch, width); returns y (batch, width) and the new state.

        Without gradients and on a CPU the state takes the compiled kernels' layout at the first step and is
        overwritten from then on: copy one to keep it. Raises ValueError for a wrong shape.
        """
        check_width(x, ("batch",), self.width)
        if not torch.is_grad_enabled() and self._compiled(x.device, x.dtype):
            return self._compiled_step(x, state)
        if not isinstance(state, MambaState):
            from bench.nn.backends.numba_step import plain_state

            state = MambaState(*plain_state(state, self.channels, self.d_state, self.d_conv))
        inner, gate = split_gate(self.enter(x), self.channels)
        window = torch.cat([state.convolution, inner.unsqueeze(1)], dim=1)
        weight, bias = self._convolution()
        u = F.silu(torch.einsum("bkc,ck->bc", window, weight.squeeze(1)) + bias)
        inputs = self._project(u, gate)
        y, scan_state = selective_scan_step(state.scan, **inputs._asdict())
        return self.leave(y), MambaState(window[:, 1:], scan_state)

    def _compiled_step(self, x: Tensor, state: StepState) -> tuple[Tensor, StepState]:
        from bench.nn.backends.numba_step import advance, compiled_state, prepare

        versions = [parameter._version for parameter in self.parameters()]
        if isinstance(state, MambaState) or self._prepared is None or self._prepared[0] != versions:
            self._prepared = versions, prepare(*self.weights())
        if isinstance(state, MambaState):
            state = compiled_state(state.convolution, state.scan)
        return self.leave(advance(self.enter(x), state, self._prepared[1])), state

    def allocate_state(self, batch: int, length: int) -> MambaState:
        """Return the state before any token: zeros, of one size whatever the `length`."""
        return MambaState(
            self.D.new_zeros(batch, self.d_conv - 1, self.channels),
            self.D.new_zeros(batch, self.channels, self.d_state),
        )

    def _scan_inputs(self, xz: Tensor, resets: Tensor | None) -> ScanInputs:
        inner, gate = split_gate(xz, self.channels)
        u = F.silu(causal_convolution(inner, *self._convolution(), resets))
        return self._project(u, gate)

    def _project(self, u: Tensor, gate: Tensor | None) -> ScanInputs:
        low_rank, B, C = self.x_proj(u).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        delta = F.linear(low_rank, self.dt_proj.weight)
        return ScanInputs(u, delta, -torch.exp(self.A_log), B, C, self.D, gate, self.dt_proj.bias)

    def _compiled(self, device: torch.device, dtype: torch.dtype) -> bool:
        fits = dtype == torch.float32 and self.d_conv <= COMPILED_TAPS
        return fits and choose_backend("auto", device, dtype) == "numba"

    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What the compiled kernels take: taps, their bias, x_proj, dt_proj, its bias, A and D."""
        weight, bias = self._convolution()
        decay = -torch.exp(self.A_log)
        return weight, bias, self.x_proj.weight, self.dt_proj.weight, self.dt_proj.bias, decay, self.D

    def _convolution(self) -> tuple[Tensor, Tensor]:
        assert self.conv1d.bias is not None
        return self.conv1d.weight, self.conv1d.bias


class MambaMixer(SelectiveMixer):
    """Mamba's sequence mixer with `expand * width` channels; (batch, length, width) to the same.

    dt_rank defaults to ceil(width / 16). Raises ValueError as `SelectiveMixer` does.
    """

    def __init__(
        self,
        width: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dt_rank: int | None = None,
        step_size_minimum: float = STEP_MIN,
    ) -> None:
        dt_rank = math.ceil(width / 16) if dt_rank is None else dt_rank
        super().__init__(width, expand * width, d_state, d_conv, dt_rank, step_size_minimum)
        self.in_proj = nn.Linear(width, 2 * self.channels, bias=False)
        self.out_proj = nn.Linear(self.channels, width, bias=False)

    def enter(self, x: Tensor) -> Tensor:
        """What the convolution reads, and the gate, (..., 2 channels)."""
        entered: Tensor = self.in_proj(x)
        return entered

    def leave(self, y: Tensor) -> Tensor:
        """Map the scan's output back to (..., width)."""
        left: Tensor = self.out_proj(y)
        return left


def sequence_starts(mask: Tensor | None, resets: Tensor | None) -> Tensor | None:
    """Join `mask` and `resets`, each (batch, length), into resets alone.

    A token after padding begins a trajectory. A reset there makes padding contribute exactly nothing, which
    zero inputs alone do not: the convolution's bias still drives the state.
    """
    if mask is None:
        return resets
    first = mask.clone()
    first[:, 1:] &= ~mask[:, :-1]
    return first if resets is None else first | resets


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
