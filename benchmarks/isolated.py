"""What can only be measured in a process of its own: peak memory, and the first step after a start."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path


def peak_memory(implementation: str, *shape: int) -> float:
    """Return the mebibytes that one forward and backward of a scan adds to its inputs, at the peak."""
    return float(_ask("memory", implementation, *map(str, shape)))


def first_step() -> tuple[float, float]:
    """Return the seconds of the first and the second training step of DeMa in a fresh process."""
    first, second = _ask("first").split()
    return float(first), float(second)


def _ask(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.isolated", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _measure_memory(implementation: str, shape: list[int]) -> None:
    from benchmarks.contestants import SCANS
    from benchmarks.passes import forward_backward, scan_inputs

    forward_backward(SCANS[implementation], scan_inputs(1, 20, 16, shape[3]))()
    run = forward_backward(SCANS[implementation], scan_inputs(*shape))
    # Writing 5 here makes the kernel count the process's peak from now on.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    run()
    print((_status("VmHWM") - before) / 1024)


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field)))


def _measure_first_step() -> None:
    from benchmarks.models import dema, training_step

    run, seconds = training_step(dema()), []
    for _ in range(2):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    print(*seconds)


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    if sys.argv[1] == "memory":
        _measure_memory(sys.argv[2], [int(size) for size in sys.argv[3:]])
    else:
        _measure_first_step()
