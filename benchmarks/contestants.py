"""The implementations of the selective scan that are compared, with gate, skip and bias, token-major."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mambapy.pscan import pscan
from torch import Tensor
from transformers.models.mamba.modeling_mamba import mamba_selective_scan

from benchmarks.passes import Scan, ours


def transformers_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, delta_bias: Tensor
) -> Tensor:
    """The PyTorch fallback of transformers: what mamba-ssm's own reference does, step by step."""
    u, delta, B, C, z = (x.transpose(1, 2) for x in (u, delta, B, C, z))
    scanned: Tensor = mamba_selective_scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus=True)
    return scanned.transpose(1, 2)


def mambapy_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, delta_bias: Tensor
) -> Tensor:
    """The parallel scan of mambapy with the discretisation around it."""
    step = F.softplus(delta + delta_bias)
    decay = torch.exp(step.unsqueeze(-1) * A)
    states = pscan(decay, (step * u).unsqueeze(-1) * B.unsqueeze(2))
    y: Tensor = (states @ C.unsqueeze(-1)).squeeze(-1) + D * u
    return y * F.silu(z)


SCANS: dict[str, Scan] = {
    "numba": ours("numba"),
    "torch": ours("torch"),
    "mambapy": mambapy_scan,
    "transformers": transformers_scan,
}

# Those of `benchmarks.jax_scan`, which needs JAX.
JAX_NAMES = ("jax scan, recomputed", "jax scan, kept", "jax associative scan")
