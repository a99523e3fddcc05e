"""HiPPO matrices, by which the state of an S4 layer begins as a memory of its past.

LegS (Gu et al. 2020, "HiPPO", Theorem 2) keeps the coefficients of the past in Legendre polynomials. Its
matrix is normal but for a term of rank one (Gu et al. 2022, "S4", Theorem 1), so that in the basis of the
normal part it is a diagonal less an outer product. All numbers are computed in double precision.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Modes(NamedTuple):
    """x' = (diag(poles) - correction correction*) x + inputs u, in N complex modes of which half are held.

    The other half are conjugates. Shapes: (N / 2,) complex128 each, by the poles' rising imaginary parts, all
    of them positive.
    """

    poles: Tensor
    correction: Tensor
    inputs: Tensor


def legs(states: int) -> tuple[Tensor, Tensor]:
    """LegS: A (N, N) and B (N,), float64, of x' = A x + B u.

    A[n, k] = -sqrt((2 n + 1) (2 k + 1)) below the diagonal, -(n + 1) on it, 0 above; B[n] = sqrt(2 n + 1).
    """
    root = torch.sqrt(2.0 * torch.arange(states, dtype=torch.float64) + 1.0)
    below = torch.tril(torch.outer(root, root), diagonal=-1)
    return -below - torch.diag(torch.arange(states, dtype=torch.float64) + 1.0), root


def legs_correction(states: int) -> Tensor:
    """P (N,), float64, that makes A + P P^T of LegS normal: P[n] = sqrt(n + 1 / 2)."""
    return torch.sqrt(torch.arange(states, dtype=torch.float64) + 0.5)


def legs_modes(states: int) -> Modes:
    """LegS in the basis of its normal part, whose poles all have the real part -1/2.

    Raises ValueError for an odd number of states: modes come in pairs.
    """
    _require_pairs(states)
    a, b = legs(states)
    p = legs_correction(states)
    # -1/2 I plus an antisymmetric matrix; i times that is Hermitian.
    antisymmetric = a + torch.outer(p, p) + 0.5 * torch.eye(states, dtype=torch.float64)
    frequencies, basis = torch.linalg.eigh(-1j * antisymmetric)
    half = slice(states // 2, None)  # rising, so the positive half
    into = basis[:, half].conj().T
    poles = torch.complex(torch.full_like(frequencies[half], -0.5), frequencies[half])
    return Modes(poles, into @ p.to(into.dtype), into @ b.to(into.dtype))


def linear_modes(states: int) -> Modes:
    """S4D-Lin (Gu et al. 2022, "S4D", equation 9): poles -1/2 + i pi n, nothing to correct, inputs of one.

    Raises ValueError for an odd number of states.
    """
    _require_pairs(states)
    frequencies = torch.pi * torch.arange(states // 2, dtype=torch.float64)
    poles = torch.complex(torch.full_like(frequencies, -0.5), frequencies)
    return Modes(poles, torch.zeros_like(poles), torch.ones_like(poles))


def _require_pairs(states: int) -> None:
    if states < 2 or states % 2:
        raise ValueError(f"states: modes come in pairs, so expected an even number from 2 on, got {states}")
