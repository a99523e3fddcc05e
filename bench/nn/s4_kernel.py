"""Kernels of S4: a linear state space in each channel, as a convolution and as a recurrence.

Gu et al. 2022 ("S4"): x' = A x + B u, y = C x + D u in continuous time, with A = diag(poles) - P P* in modes
that come in conjugate pairs. A, B and P are those of all channels, as in a later code of Decision S4
(`n_ssm=1`); the step size and C are a channel's own. Every kernel stays stable: real parts of poles are kept
negative.

| kernel            | poles begin as            | discretised by        | kernel computed by             |
|-------------------|---------------------------|-----------------------|--------------------------------|
| `nplr-legs`       | HiPPO-LegS with its P     | the bilinear rule     | Cauchy sums and Woodbury (S4)  |
| `diagonal-legs`   | the same, P left out      | a zero-order hold     | powers of the poles (S4D)      |
| `diagonal-linear` | -1/2 + i pi n             | a zero-order hold     | powers of the poles (S4D)      |

Shapes: B sequences, L tokens, H channels, N states a channel, of which N / 2 modes are held.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from bench.nn.hippo import Modes, legs_modes, linear_modes

KERNELS = ("nplr-legs", "diagonal-legs", "diagonal-linear")
STEP_MIN, STEP_MAX = 0.001, 0.1  # between which step sizes begin, as in S4's code


class Recurrence(Protocol):
    """A kernel as a recurrence, its coefficients computed once."""

    @property
    def outputs(self) -> Tensor:
        """(H, N / 2) complex: C."""

    def advance(self, modes: Tensor, u: Tensor) -> Tensor:
        """The modes (B, H, N / 2) after one more token u (B, H)."""


@dataclass(frozen=True)
class HeldRecurrence:
    """Modes that each decay and are driven alone."""

    decay: Tensor  # (H, N / 2) complex
    drive: Tensor  # same shape
    outputs: Tensor

    def advance(self, modes: Tensor, u: Tensor) -> Tensor:
        """Decay x + drive u."""
        return self.decay * modes + self.drive * u.unsqueeze(-1)


@dataclass(frozen=True)
class BilinearRecurrence:
    """The bilinear rule for diag(poles) - P P*, without a matrix: x <- M (2 x + step B u) - x.

    M = (1 - step / 2 A)^-1 is a diagonal less an outer product, by Woodbury's identity.
    """

    diagonal: Tensor  # (H, N / 2) complex: 1 / (1 - step / 2 poles)
    correction: Tensor  # (N / 2,) complex: P
    share: Tensor  # (H, 1): step / 2 over 1 + step / 2 P* diagonal P
    drive: Tensor  # (H, N / 2) complex: step B
    outputs: Tensor

    def advance(self, modes: Tensor, u: Tensor) -> Tensor:
        """M (2 x + drive u) - x."""
        inner = self.diagonal * (2.0 * modes + self.drive * u.unsqueeze(-1))
        along = paired_sum(self.correction.conj() * inner).unsqueeze(-1)
        return inner - self.share * along * self.diagonal * self.correction - modes


def paired_sum(modes: Tensor) -> Tensor:
    """The sum over the last axis of modes (..., N / 2) and their conjugates, which is real."""
    return 2.0 * modes.real.sum(dim=-1)


class Kernel(nn.Module, ABC):
    """The kernel of `width` channels, and the same as a recurrence.

    Raises ValueError for more tokens at once than `longest`.
    """

    def __init__(self, width: int, modes: Modes, longest: int) -> None:
        super().__init__()
        self.longest = longest
        low, high = math.log(STEP_MIN), math.log(STEP_MAX)
        self.log_step = nn.Parameter(low + (high - low) * torch.rand(width))
        self.log_decay = nn.Parameter((-modes.poles.real).log().float())
        self.frequency = nn.Parameter(modes.poles.imag.float())
        self.inputs = as_parameter(modes.inputs)
        # Complex normal with variance one.
        self.outputs = nn.Parameter(math.sqrt(0.5) * torch.randn(width, len(modes.poles), 2))

    def poles(self) -> Tensor:
        """(N / 2,) complex, their real parts negative."""
        return torch.complex(-self.log_decay.exp(), self.frequency)

    @abstractmethod
    def forward(self, length: int) -> Tensor:
        """What each channel makes of one token up to `length` - 1 tokens later: (H, length)."""

    @abstractmethod
    def recurrence(self) -> Recurrence:
        """The same as a recurrence in double precision, without gradients."""

    def _in_double(self) -> tuple[Tensor, Tensor, Tensor]:
        """Poles, inputs, and what is learnt of outputs, complex128."""
        inputs, outputs = (torch.view_as_complex(part.double()) for part in (self.inputs, self.outputs))
        return self.poles().to(torch.complex128), inputs, outputs

    def _check(self, length: int) -> None:
        if not 1 <= length <= self.longest:
            raise ValueError(f"length: the kernel was made for 1 to {self.longest} tokens, got {length}")


class DiagonalKernel(Kernel):
    """S4D: 2 Re sum C B (decay - 1) / poles decay^l, with decay = exp(step poles)."""

    def forward(self, length: int) -> Tensor:
        """(H, length); powers of decay are exponentials of multiples."""
        self._check(length)
        inputs, outputs = torch.view_as_complex(self.inputs), torch.view_as_complex(self.outputs)
        exponents = self.poles() * self.log_step.exp().unsqueeze(-1)
        weights = outputs * inputs * torch.expm1(exponents) / self.poles()
        return 2.0 * torch.bmm(weights.unsqueeze(1), self._powers(length)).squeeze(1).real

    def _powers(self, length: int) -> Tensor:
        """(H, N / 2, length) powers of decay, with angles of up to thousands of turns in double precision."""
        places = torch.arange(length, device=self.frequency.device)
        step = self.log_step.exp().unsqueeze(-1)
        turned = (self.frequency.double() * self.log_step.double().exp().unsqueeze(-1)).unsqueeze(-1) * places
        angle = torch.remainder(turned, 2.0 * torch.pi).to(step.dtype)
        return torch.polar(torch.exp((-self.log_decay.exp() * step).unsqueeze(-1) * places), angle)

    @torch.no_grad()
    def recurrence(self) -> HeldRecurrence:
        """Decay and drive of each mode."""
        poles, inputs, outputs = self._in_double()
        exponents = poles * self.log_step.double().exp().unsqueeze(-1)
        return HeldRecurrence(exponents.exp(), torch.expm1(exponents) / poles * inputs, outputs)


class NplrKernel(Kernel):
    """S4: the generating function of the kernel at roots of unity, and back by a Fourier transform.

    What is learnt in C's place is C (1 - A^n), with A discretised and n = `longest` made odd: with it the
    generating function of the first n taps has a closed form (S4, Section 3.2). Of an odd number of roots
    none is -1, where the bilinear rule has a pole. The recurrence needs C itself, which takes A^n.
    """

    half_tangents: Tensor

    def __init__(self, width: int, modes: Modes, longest: int) -> None:
        super().__init__(width, modes, longest)
        self.taps = longest | 1
        self.correction = as_parameter(modes.correction)
        # z = exp(-i w): (1 - z) / (1 + z) = i tan(w / 2), and 2 / (1 + z) = 1 + i tan(w / 2).
        angles = torch.pi * torch.arange(self.taps // 2 + 1, dtype=torch.float64) / self.taps
        self.register_buffer("half_tangents", angles.tan().float(), persistent=False)

    def forward(self, length: int) -> Tensor:
        """(H, length)."""
        self._check(length)
        outputs, inputs, correction = map(torch.view_as_complex, (self.outputs, self.inputs, self.correction))
        weights = torch.stack(torch.broadcast_tensors(
            outputs * inputs, outputs * correction, correction.conj() * inputs, correction.conj() *
            correction,
        ), dim=1)  # fmt: skip
        frequencies = 2.0 * self.half_tangents / self.log_step.exp().unsqueeze(-1)
        cb, cp, pb, pp = cauchy_sums(weights, self.poles(), frequencies).unbind(1)
        warped = torch.complex(torch.ones_like(self.half_tangents), self.half_tangents)
        spectrum = warped * (cb - cp * pb / (1.0 + pp))
        return torch.fft.irfft(spectrum, n=self.taps)[:, :length]

    @torch.no_grad()
    def recurrence(self) -> BilinearRecurrence:
        """The bilinear rule, and C from what is learnt in its place."""
        poles, inputs, learnt = self._in_double()
        correction = torch.view_as_complex(self.correction.double())
        step = self.log_step.double().exp().unsqueeze(-1)
        diagonal = 1.0 / (1.0 - 0.5 * step * poles)
        inner = paired_sum(correction.conj() * diagonal * correction).unsqueeze(-1)
        found = BilinearRecurrence(
            diagonal, correction, 0.5 * step / (1.0 + 0.5 * step * inner), step * inputs, learnt
        )
        return replace(found, outputs=outputs_of(found, self.taps))


def cauchy_sums(weights: Tensor, poles: Tensor, frequencies: Tensor) -> Tensor:
    """Sums over all modes of weight / (i s - pole): (H, W, F) complex.

    weights (H, W, N / 2) complex, poles (N / 2,) complex, s: frequencies (H, F). With its conjugate each mode
    gives 2 (Re(v) i s - Re(v conj(pole))) / ((i s)^2 - 2 Re(pole) i s + |pole|^2), so that all that is large
    is real.
    """
    decay, height = poles.real.unsqueeze(-1), poles.imag.unsqueeze(-1)
    s = frequencies.unsqueeze(1)
    # |pole|^2 - s^2 by its factors: near s = |pole| the difference of squares would lose digits.
    size = torch.sqrt(decay**2 + height**2)
    real, imaginary = (size - s) * (size + s), -2.0 * decay * s
    norm = real**2 + imaginary**2
    inverse = torch.cat([real / norm, -imaginary / norm], dim=-1)
    rows = torch.cat([weights.real, (weights * poles.conj()).real], dim=1)
    (first_real, first_imaginary), (second_real, second_imaginary) = (
        half.chunk(2, dim=-1) for half in torch.bmm(rows, inverse).chunk(2, dim=1)
    )
    return torch.complex(
        2.0 * (-s * first_imaginary - second_real), 2.0 * (s * first_real - second_imaginary)
    )


def outputs_of(rule: BilinearRecurrence, taps: int) -> Tensor:
    """C (H, N / 2) where `rule.outputs` are C (1 - A^taps), by each channel's dense A in real coordinates."""
    channels, count = rule.outputs.shape
    unit = torch.eye(count, dtype=rule.outputs.dtype, device=rule.outputs.device)
    basis = torch.cat([unit, 1j * unit]).unsqueeze(1).expand(-1, channels, -1)
    columns = rule.advance(basis, torch.zeros_like(basis[..., 0].real))
    dense = torch.cat([columns.real, columns.imag], dim=-1).permute(1, 2, 0)
    identity = torch.eye(2 * count, dtype=dense.dtype, device=dense.device)
    left = (identity - torch.linalg.matrix_power(dense, taps)).transpose(1, 2)
    # Re(C x) = Re(C) Re(x) - Im(C) Im(x).
    learnt = torch.cat([rule.outputs.real, -rule.outputs.imag], dim=-1)
    real, negated = torch.linalg.solve(left, learnt).chunk(2, dim=-1)
    return torch.complex(real, -negated)


def as_parameter(values: Tensor) -> nn.Parameter:
    """Complex values (...) as a real parameter (..., 2) in single precision."""
    return nn.Parameter(torch.view_as_real(values).float())


def make_kernel(kind: str, width: int, states: int, longest: int) -> Kernel:
    """A kernel of KERNELS; ValueError for another one."""
    if kind not in KERNELS:
        raise ValueError(f"kernel: expected one of {', '.join(KERNELS)}, got {kind!r}")
    if kind == "nplr-legs":
        return NplrKernel(width, legs_modes(states), longest)
    return DiagonalKernel(
        width, legs_modes(states) if kind == "diagonal-legs" else linear_modes(states), longest
    )
