"""What `bench.stages.train`, `bench.stages.evaluate` and `bench.stages.probe` ask of a method.

A method is one module `bench/methods/<name>.py` with a class `Learner`. It is found by its
name, so that no registry couples one method's code to another's.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bench.work.availability import method_module

Batch = dict[str, Tensor]


class OnlineWork(NamedTuple):
    """What an agent does online with a context of a given size, to be timed.

    `begin` is done when an episode begins; `decide` makes `decisions` decisions.
    """

    begin: Callable[[], Any]
    decide: Callable[[], Any]
    decisions: int


class Learner(ABC):
    """A method on a task: a model, its batches, its loss, and what it needs beside its weights."""

    model: nn.Module

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    @property
    def device(self) -> torch.device:
        """Where the model is. What an environment shows is taken there to act, and actions come back."""
        return next(self.model.parameters()).device

    def on_device(self, batch: Batch) -> Batch:
        """The batch where the model is."""
        return {name: values.to(self.device) for name, values in batch.items()}

    @abstractmethod
    def prepare(self, dataset: Any) -> None:
        """Take what the method needs from the dataset before training (normalisers, tables)."""

    @abstractmethod
    def batch(self, dataset: Any, generator: np.random.Generator) -> Batch:
        """Draw one training batch, on the CPU."""

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The training loss of a batch on the model's device, a scalar; the model is in training mode."""

    @abstractmethod
    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> Batch:
        """A batch of the true shapes with random content, on the CPU, for the probes."""

    def counted(self) -> nn.Module:
        """The module whose trainable parameters the probes count; by default the whole model."""
        return self.model

    def decision(self, generator: np.random.Generator) -> Callable[[], Any]:
        """One decision with a full context; by default a pass over the whole context."""
        batch = self.on_device(self.synthetic_batch(1, generator))
        return lambda: self.model(**batch)

    def online_work(self, fill: int, cached: bool, generator: np.random.Generator) -> OnlineWork | None:
        """The work of acting in one environment with `fill` steps in the context; None where it is not timed.

        `cached` decides from a key-value cache, else the context is read anew at each decision; a recurrent
        state is kept either way.
        """
        return None

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold beside the model's weights."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        assert not state


def make_learner(method: str, options: dict[str, Any]) -> Learner:
    """The learner of that name, its weights freshly initialised from torch's global generator."""
    learner: Learner = importlib.import_module(method_module(method)).Learner(options)
    return learner
