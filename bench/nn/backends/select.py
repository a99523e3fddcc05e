"""Which backend computes the selective scan: one registry, one rule for `auto`."""

from __future__ import annotations

import os

import torch
from torch import Tensor

BACKENDS = ("reference", "torch")


def scan_backend(device: torch.device | str) -> str:
    """Name the backend that "auto" picks for float32 tensors on `device`; recorded beside every result.

    Raises ValueError where BENCH_SCAN_BACKEND names no backend, RuntimeError where this machine lacks it.
    """
    return choose_backend("auto", torch.device(device), torch.float32)


def choose_backend(backend: str, device: torch.device, dtype: torch.dtype) -> str:
    """Resolve "auto" and check that the backend can run for `device` and `dtype` on this machine."""
    name = os.environ.get("BENCH_SCAN_BACKEND", "auto") if backend == "auto" else backend
    if name == "auto":
        return "torch"
    if name not in BACKENDS:
        raise ValueError(f"backend: expected 'auto' or one of {', '.join(BACKENDS)}, got {name!r}")
    return name


def run_backend(
    name: str,
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
) -> tuple[Tensor, Tensor]:
    """Compute y and the final state with the backend `name`; arguments as `bench.nn.scan.selective_scan`."""
    if name == "reference":
        from bench.nn.backends.reference import scan
    else:
        from bench.nn.backends.torch_scan import scan
    return scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus, initial_state, resets)
