"""Which backend computes the selective scan: one registry, and one rule for `auto`."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

BACKENDS = ("reference", "torch", "numba", "triton", "mamba_ssm")
VARIABLE = "BENCH_SCAN_BACKEND"
# Backends made for one type of device.
MADE_FOR = {"numba": "cpu", "triton": "cuda", "mamba_ssm": "cuda"}
# What those compute in, half precision widened.
NARROW = (torch.float32, torch.bfloat16, torch.float16)

Scan = Callable[..., tuple[Tensor, Tensor | None]]


def scan_backend(device: torch.device | str) -> str:
    """Name the backend that "auto" picks for float32 tensors on `device`, to be recorded beside a result.

    Raises ValueError if BENCH_SCAN_BACKEND names no backend, RuntimeError if this machine lacks it.
    """
    return choose_backend("auto", torch.device(device), torch.float32)


def choose_backend(backend: str, device: torch.device, dtype: torch.dtype) -> str:
    """Resolve "auto" for tensors of `dtype` on `device`, or check that the backend named can take them.

    Raises ValueError for an unknown backend, RuntimeError for one that this machine lacks, TypeError for a
    dtype that it does not compute in.
    """
    name = os.environ.get(VARIABLE) or "auto" if backend == "auto" else backend
    if name == "auto":
        return _best(device.type, dtype in NARROW)
    if name not in BACKENDS:
        source = VARIABLE if backend == "auto" else "backend"
        raise ValueError(f"{source}: expected 'auto' or one of {', '.join(BACKENDS)}, got {name!r}")
    missing = _missing(name, device.type)
    if missing:
        raise RuntimeError(f"backend: {name!r} cannot be used here: {missing}")
    if name in MADE_FOR and dtype not in NARROW:
        raise TypeError(f"u: backend {name!r} expects float32 or half precision, got {dtype}")
    return name


def load_backend(name: str) -> Scan:
    """Return the function that runs backend `name`; its arguments are those of `selective_scan`, in order."""
    if name == "reference":
        from bench.nn.backends.reference import scan
    elif name == "numba":
        from bench.nn.backends.numba_scan import scan
    elif name == "triton":
        from bench.nn.backends.triton_scan import scan
    elif name == "mamba_ssm":
        from bench.nn.backends.mamba_ssm import scan
    else:
        from bench.nn.backends.torch_scan import scan
    return scan


@cache
def _best(device: str, narrow: bool) -> str:
    name = {"cpu": "numba", "cuda": "triton"}.get(device)
    if name is None or not narrow:
        return "torch"
    missing = _missing(name, device)
    if missing:
        # Once a process, since the answer is kept.
        warnings.warn(f"selective scan on {device}: {missing}; using the slower torch backend", stacklevel=2)
        return "torch"
    return name


@cache
def _missing(name: str, device: str) -> str:
    """Say why backend `name` cannot run on `device` here, or "" if it can."""
    expected = MADE_FOR.get(name, device)
    if device != expected and not (name == "triton" and _is_interpreted()):
        return f"it computes on {expected}, the tensors are on {device}"
    if name == "numba" and importlib.util.find_spec(name) is None:
        return "numba is not installed"
    if name == "numba" and os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return "NUMBA_DISABLE_JIT is set"
    return why_it_fails(name, device) if expected == "cuda" else ""


def _is_interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET", "0") not in ("", "0")


def why_it_fails(name: str, device: str) -> str:
    """Say why backend `name` cannot scan one token on `device`, or "" if it can.

    That a package is installed says little: its kernels may not have been built, may not fit the driver, or
    find no compiler.
    """
    try:
        u, A = torch.ones(1, 1, 1, device=device), -torch.ones(1, 1, device=device)
        with torch.no_grad():
            load_backend(name)(u, u, A, u, u, None, None, None, True, None, None, False)
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed"
    except Exception as error:  # whatever a foreign package raises where it does not work
        return f"{name} fails here, {type(error).__name__}: {error}"
    return ""
