"""How states reach a model: what a task of numbers and a task of frames have in common."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class StateReader(Protocol):
    """Fitted to a dataset; it then reads the dataset's states, and those that a policy is shown."""

    @property
    def device(self) -> torch.device:
        """Where what it was fitted to lies."""

    def fit(self, dataset: Any) -> None:
        """Take what it needs from the dataset that is learnt from."""

    def of(self, states: Any) -> Any:
        """What batches are gathered from, by the number of the transition."""

    def __call__(self, states: Tensor) -> Tensor:
        """What a model reads of states (count, ...) that a policy is shown."""
