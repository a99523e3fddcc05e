"""How states that are frames reach a model: batches hold their grey levels, policies their features."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.catalogue.option_types import Options
from bench.datasets.frame_trajectories import FrameStacks, FrameTrajectories
from bench.errors import SpecError
from bench.nn.frames import FrameEncoder

# Stacks that are encoded at once when a dataset is read by a frozen encoder.
AT_ONCE = 512


class FrameReader:
    """Stands where a task of numbers has its normaliser; the encoder is a part of the model.

    A batch holds stacks of frames as they are, since the encoder is trained with the rest; once the encoder
    is frozen it holds their features, which are computed once. A policy encodes a stack once and keeps its
    features for as long as the window reaches back to it.
    """

    def __init__(self, encoder: FrameEncoder, options: Options) -> None:
        self.encoder, self.centred = encoder, options["frame_input"] == "centred"
        self.frozen = False

    @property
    def device(self) -> torch.device:
        """Where the encoder is."""
        return self.encoder.mean_frame.device

    def freeze(self, trained: FrameEncoder) -> None:
        """Take the weights of a trained encoder, mean frame included, and train them no further.

        Raises SpecError if it has another width.
        """
        if trained.width != self.encoder.width:
            raise SpecError(
                f"option encoder: the trained encoder has {trained.width} features (hidden_dim of bc), and "
                f"this model reads {self.encoder.width} (embedding_dim). Give both one width, or set encoder "
                "to end-to-end."
            )
        self.encoder.load_state_dict(trained.state_dict())
        self.encoder.requires_grad_(False)
        self.frozen = True

    def fit(self, dataset: FrameTrajectories) -> None:
        """Take the mean frame and the pixels' deviation of a dataset, if frames are to be centred."""
        if self.centred and not self.frozen:
            self.encoder.centre(torch.from_numpy(dataset.pixel_mean()), dataset.pixel_deviation())

    def of(self, stacks: FrameStacks) -> FrameStacks | NDArray[np.float32]:
        """What batches are gathered from: the stacks, or their features (n, D) by a frozen encoder."""
        return self._features(stacks) if self.frozen else stacks

    @torch.no_grad()
    def _features(self, stacks: FrameStacks) -> NDArray[np.float32]:
        found = np.empty((len(stacks), self.encoder.width), np.float32)
        for first in range(0, len(stacks), AT_ONCE):
            rows = np.arange(first, min(first + AT_ONCE, len(stacks)))
            found[rows] = self(torch.from_numpy(stacks[rows]).to(self.device)).cpu().numpy()
        return found

    def __call__(self, states: Tensor) -> Tensor:
        """(count, D) features of stacks (count, frames, side, side) that a policy is shown."""
        features: Tensor = self.encoder(states)
        return features
