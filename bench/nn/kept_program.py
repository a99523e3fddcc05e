"""When a model reads by one compiled call, and the program that it keeps for that."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn

from bench.nn.backends.select import choose_backend
from bench.nn.state import Memory, States

if TYPE_CHECKING:
    from bench.nn.compiled import Compiled


LayOut: TypeAlias = "Callable[[Sequence[Tensor]], Compiled | None]"
_WRITTEN = ContextVar("written", default=False)


@contextlib.contextmanager
def written_path() -> Iterator[None]:
    """Let every model take its written path meanwhile, to compare with the compiled one."""
    token = _WRITTEN.set(True)
    try:
        yield
    finally:
        _WRITTEN.reset(token)


class KeptProgram:
    """The program of a model, laid out when it is first needed and whenever a parameter has changed in place.

    Changes are found by the count that each tensor keeps. `Tensor.data` and a fused optimiser change it
    without counting. What is written through the first holds from the next program on; for the second
    `make_optimiser` counts.
    """

    def __init__(self) -> None:
        self._held: Compiled | None = None

    def to_read(self, x: Tensor, memory: Memory, model: nn.Module, lay_out: LayOut) -> Compiled | None:
        """What reads x (1, ...) after a memory in one call; None where the model takes its written path.

        That is with gradients or in training, for several rows, off the CPU, in another dtype than float32,
        without numba, after padding, and where `lay_out`, which is given the model's parameters, has none.
        """
        if len(x) != 1 or x.dtype != torch.float32 or model.training or torch.is_grad_enabled():
            return None
        if _WRITTEN.get():
            return None
        held = self._held
        if held is not None and not isinstance(memory, States) and held.current():
            return held
        if not _by_numba(x) or _holds_padding(memory):
            return None
        parameters = list(model.parameters())
        if held is None or not held.fits(parameters):
            self._held = held = lay_out(parameters)
        return held


def _by_numba(x: Tensor) -> bool:
    """Whether what is computed from x is numba's to compute.

    Another backend may be asked for, even one that cannot be used here: a model with a scan says so itself.
    """
    if x.device.type != "cpu":
        return False
    try:
        return choose_backend("auto", x.device, x.dtype) == "numba"
    except RuntimeError:
        return False


def _holds_padding(memory: Memory) -> bool:
    """Whether a cache holds padding, of which programs know nothing."""
    return any(getattr(state, "real", None) is not None for state in memory.layers)
