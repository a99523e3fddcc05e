"""The normaliser of states: mean and deviation of a dataset, as buffers of the model."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.datasets.arrays import States
from bench.datasets.trajectories import Trajectories


class Normaliser(nn.Module):
    """Standardises states (..., S) by the mean and deviation (+ 1e-6) of a dataset's states.

    Without `wanted` (the option `normalise_states`), and until it is fitted, states stay as they are.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, state_dim: int, wanted: bool) -> None:
        super().__init__()
        self.wanted = wanted
        self.register_buffer("mean", torch.zeros(state_dim))
        self.register_buffer("std", torch.ones(state_dim))

    @torch.no_grad()
    def fit(self, dataset: Trajectories) -> None:
        """Take the dataset's mean and deviation."""
        if self.wanted:
            self.mean.copy_(torch.from_numpy(dataset.observation_mean))
            self.std.copy_(torch.from_numpy(dataset.observation_std))

    @property
    def device(self) -> torch.device:
        """Where it is, with its model."""
        return self.mean.device

    def forward(self, states: Tensor) -> Tensor:
        """Standardised states (..., S)."""
        return (states - self.mean) / self.std

    def of(self, states: States) -> States:
        """The same of states on the CPU, where batches are laid out."""
        mean, std = (values.cpu().numpy() for values in (self.mean, self.std))
        return ((states - mean) / std).astype(np.float32)


class Unchanged(nn.Module):
    """Reads states as they are, such as the coordinates of a room."""

    def fit(self, dataset: Trajectories) -> None:
        """Nothing is taken from the dataset."""

    def forward(self, states: Tensor) -> Tensor:
        """The states."""
        return states

    def of(self, states: States) -> States:
        """The states."""
        return states


def make_normaliser(options: Options) -> Normaliser:
    """The normaliser of states that are numbers, not fitted yet."""
    return Normaliser(options["observation_dim"], options["normalise_states"])
