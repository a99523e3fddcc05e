"""How torch runs here: one thread a process, deterministic kernels."""

from __future__ import annotations

import torch


def one_thread() -> None:
    """Use one thread and only deterministic algorithms, so that equal input gives equal bytes."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
