"""How torch runs here: one thread a process, deterministic kernels, and the device that trains."""

from __future__ import annotations

import os

import torch

from bench.errors import SpecError, UnavailableError
from bench.nn.scan import scan_backend
from bench.work.record import Facts


def one_thread() -> None:
    """Use one thread and only deterministic algorithms, so that equal input gives equal bytes.

    With a GPU an operator that has no deterministic kernel warns and runs: Mamba's own CUDA
    backward is one, and the record says that the device was a GPU.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())


def training_device() -> torch.device:
    """The device that trains: a GPU where there is one, else the CPU; `BENCH_DEVICE` names another.

    Evaluation stays on the CPU, where the environments are. Raises SpecError for a name that is no
    device, UnavailableError for a GPU this machine lacks.
    """
    name = os.environ.get("BENCH_DEVICE", "auto")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.split(":")[0] not in ("cpu", "cuda"):
        raise SpecError(f"environment variable BENCH_DEVICE: expected auto, cpu or cuda, got {name!r}.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UnavailableError(
            f"BENCH_DEVICE={name}, but torch {torch.__version__} sees no GPU; unset it to use the CPU"
        )
    return torch.device(name)


def described(device: torch.device) -> Facts:
    """What a record says of the device and of the scan's backend on it."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"device": name, "scan_backend": scan_backend(device), "threads": torch.get_num_threads()}
