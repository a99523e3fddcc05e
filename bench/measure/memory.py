"""Peak memory of a piece of work in this process, above what the process held before."""

from __future__ import annotations

import contextlib
import ctypes
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


def _high_water() -> int:
    """Largest resident size so far, bytes."""
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _return_freed_memory() -> None:
    """Give freed memory back to the system, or its reuse would not count; only glibc can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _forget_high_water() -> None:
    """Let the kernel reset its high-water mark, if it can."""
    # Where it cannot, the mark still holds what came before, and the result can only be too large.
    with contextlib.suppress(OSError):
        CLEAR.write_text("5")


def peak_during(work: Callable[[], Any]) -> int:
    """Bytes by which the resident size rose at most while the work ran, for the first time."""
    _return_freed_memory()
    _forget_high_water()
    before = psutil.Process().memory_info().rss
    work()
    return max(0, _high_water() - before)
