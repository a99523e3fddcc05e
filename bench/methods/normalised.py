"""A learner whose states are standardised by the mean and deviation (+ 1e-6) of the dataset's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.datasets.trajectories import Trajectories
from bench.methods.base import Learner


class NormalisedLearner(Learner):
    """Holds the normaliser of states of `state_dim` numbers; until it is taken, states stay as they are."""

    def __init__(self, options: dict[str, Any], state_dim: int) -> None:
        super().__init__(options)
        self.mean = np.zeros(state_dim, np.float32)
        self.std = np.ones(state_dim, np.float32)

    def take_normaliser(self, dataset: Trajectories) -> None:
        """Take the dataset's mean and deviation, where `normalise_states` asks for it."""
        if self.options["normalise_states"]:
            self.mean, self.std = dataset.observation_mean, dataset.observation_std

    def normalise(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardise states (..., S)."""
        normalised: NDArray[np.float32] = ((states - self.mean) / self.std).astype(np.float32)
        return normalised

    def state(self) -> dict[str, Any]:
        """The normaliser of the states."""
        return {"mean": torch.from_numpy(self.mean), "std": torch.from_numpy(self.std)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back the normaliser."""
        self.mean, self.std = state["mean"].numpy(), state["std"].numpy()
