"""Seeds by named streams: the same name gives the same numbers, on every machine and in any order.

A stream is named by what it is for (`init`, `batch`, `env`, `eval`, `data`) and by what it
belongs to. Evaluation streams leave the method out, so that all methods meet the same episodes.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream_seed(*names: str | int) -> int:
    """A 63-bit seed for the stream of this name (order of the names counts)."""
    digest = hashlib.sha256("\x1f".join(str(name) for name in names).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(*names: str | int) -> np.random.Generator:
    """A numpy generator for the stream of this name."""
    return np.random.default_rng(stream_seed(*names))
