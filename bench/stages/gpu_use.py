"""What a job used of a GPU, for its record.

Imported by `bench.stages.runner` only, which no fingerprint follows: it changes no number.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from types import ModuleType

from bench.work.record import Facts

MIB = 2**20
# Packages whose kernels a GPU runs, beside torch's own.
PACKAGES = ("triton", "mamba-ssm")
# That program answers in well under a second, and not at all where the driver hangs.
LONGEST_SECONDS = 10


def gpu_use() -> Facts:
    """Peak of a GPU's memory and what computes on it; nothing in a process that has used none.

    Raises nothing: it is asked when the work is done, and the record of that is worth more. What could not
    be found out is said in its place.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return {}
    try:
        return _told(torch)
    except Exception as error:
        return {"gpu_versions": {"unknown": f"{type(error).__name__}: {error}"}}


def _told(torch: ModuleType) -> Facts:
    peaks = (torch.cuda.max_memory_allocated(number) for number in range(torch.cuda.device_count()))
    return {
        # Of tensors alone: what the process itself holds of the GPU is no part of the model.
        "gpu_memory_mib": round(max(peaks) / MIB, 1),
        "gpu_versions": {
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),
            "driver": driver(),
            **{name: _version(name) for name in PACKAGES},
        },
    }


def driver() -> str:
    """The version of the driver, as its own program tells; `absent` without it or its answer."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=LONGEST_SECONDS
        ).stdout
    except (OSError, subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return "absent"
    return said.split("\n")[0].strip()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
