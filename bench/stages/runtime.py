"""How torch runs here: one thread a process, deterministic kernels, and the device that trains."""

from __future__ import annotations

import os
import re

import torch

from bench.errors import SpecError, UnavailableError
from bench.nn.scan import scan_backend
from bench.work.record import Facts

DEVICE = re.compile(r"cpu|cuda(:\d+)?")


def one_thread() -> None:
    """Use one thread and only deterministic algorithms, so that equal input gives equal bytes.

    On a GPU too: an operator that has no deterministic kernel raises RuntimeError, matrix products keep to
    one workspace, and a convolution or an LSTM computes in float32 as everything else does.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    # In that mode torch fills what it allocates with NaN: on a GPU two of five kernels of an update.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # cuBLAS reads it at its first product; with another workspace two runs may differ.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.allow_tf32 = False


def training_device() -> torch.device:
    """The device that trains: a GPU where there is one, else the CPU; `BENCH_DEVICE` names another.

    Evaluation stays on the CPU, where the environments are. Raises SpecError for a name that is no
    device of this kind, UnavailableError for a GPU this machine lacks.
    """
    name = os.environ.get("BENCH_DEVICE", "auto")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not DEVICE.fullmatch(name):
        raise SpecError(
            f"environment variable BENCH_DEVICE: expected auto, cpu, cuda or cuda:<number>, got {name!r}."
        )
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UnavailableError(
            f"BENCH_DEVICE={name}, but torch {torch.__version__} sees no GPU; unset it to use the CPU"
        )
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UnavailableError(
            f"BENCH_DEVICE={name}, but torch sees GPUs 0 to {torch.cuda.device_count() - 1} only"
        )
    return device


def device_name(device: torch.device) -> str:
    """What a record calls a device: the card's name, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def described(device: torch.device) -> Facts:
    """What a record says of the device and of the scan's backend on it."""
    return {
        "device": device_name(device),
        "scan_backend": scan_backend(device),
        "threads": torch.get_num_threads(),
    }
