"""Which backend computes the selective scan: one registry, and one rule for `auto`."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

BACKENDS = ("reference", "torch", "numba")
VARIABLE = "BENCH_SCAN_BACKEND"
NARROW = (torch.float32, torch.bfloat16, torch.float16)

Scan = Callable[..., tuple[Tensor, Tensor | None]]


def scan_backend(device: torch.device | str) -> str:
    """Name the backend that "auto" picks for float32 tensors on `device`, to be recorded beside a result.

    Raises ValueError where BENCH_SCAN_BACKEND names no backend, RuntimeError where this machine lacks it.
    """
    return choose_backend("auto", torch.device(device), torch.float32)


def choose_backend(backend: str, device: torch.device, dtype: torch.dtype) -> str:
    """Resolve "auto" for tensors of `dtype` on `device`, or check that the backend named can take them.

    Raises ValueError for an unknown backend, RuntimeError for one that this machine lacks, TypeError for a dtype that
    it does not compute in.
    """
    name = os.environ.get(VARIABLE, "auto") if backend == "auto" else backend
    if name == "auto":
        return _best(device.type, dtype in NARROW)
    if name not in BACKENDS:
        source = VARIABLE if backend == "auto" else "backend"
        raise ValueError(f"{source}: expected 'auto' or one of {', '.join(BACKENDS)}, got {name!r}")
    if name == "numba":
        missing = _why_not_numba() or (device.type != "cpu" and f"it computes on a CPU, the tensors are on {device}")
        if missing:
            raise RuntimeError(f"backend: 'numba' cannot be used here: {missing}")
        if dtype not in NARROW:
            raise TypeError(f"u: backend 'numba' computes in float32, expected it or half precision, got {dtype}")
    return name


def load_backend(name: str) -> Scan:
    """Return the function that runs backend `name`; its arguments are those of `bench.nn.scan.selective_scan`."""
    if name == "reference":
        from bench.nn.backends.reference import scan
    elif name == "numba":
        from bench.nn.backends.numba_scan import scan
    else:
        from bench.nn.backends.torch_scan import scan
    return scan


@cache
def _best(device: str, narrow: bool) -> str:
    if device == "cpu" and narrow:
        missing = _why_not_numba()
        if not missing:
            return "numba"
        warnings.warn(f"selective scan: {missing}; using the slower torch backend", stacklevel=4)
    return "torch"


@cache
def _why_not_numba() -> str:
    if importlib.util.find_spec("numba") is None:
        return "numba is not installed"
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return "NUMBA_DISABLE_JIT is set"
    return ""
