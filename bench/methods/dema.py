"""DeMa: Decision Mamba (arXiv 2405.12094): Mamba blocks in place of the transformer's.

- `tokens=b3ld`: three tokens a step along time, in the order return-to-go, state, action; the
  action is read off the state's token. `bl3d`: return-to-go, state and the *previous* action are
  concatenated along the features into one token a step (Section 4.1, Table 2).
- `mode=window` (Transformer-like): the last K steps, in training and in decoding.
  `recurrent` (RNN-like): trained on whole trajectories, decoded from the stored hidden state.
- `block=pre`: up-projection inside the mixer and no feed-forward layer (DeMa). `post`: the mixer
  in the attention's place of a transformer block, with its feed-forward layer ("with post.").
- No position embedding (Appendix G) unless `position_embedding` asks for DT's.
Token embeddings have width `embedding_dim`; the blocks work at `d_model`, between two linear maps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch
from bench.methods.decoding import ReturnConditionedPolicy, StepPolicy
from bench.methods.dema_model import DeMaModel
from bench.methods.return_conditioned import ReturnConditionedLearner


class Learner(ReturnConditionedLearner):
    """DeMa on windows of K steps, or on whole trajectories."""

    model: DeMaModel

    def make_model(self) -> DeMaModel:
        """The model, freshly initialised."""
        return DeMaModel(self.options)

    def batch(self, dataset: Trajectories, generator: np.random.Generator) -> Batch:
        """Windows (`mode=window`), or whole trajectories padded to the longest (`mode=recurrent`)."""
        if self.options["mode"] == "window":
            return super().batch(dataset, generator)
        chosen = self.draw_trajectories(dataset, generator)
        start, end = dataset.starts[chosen], dataset.starts[chosen + 1]
        return self._gather(dataset, start, start, end, int((end - start).max()))

    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Random windows, or whole episodes (`mode=recurrent`)."""
        if self.options["mode"] == "window":
            return super().synthetic_batch(sequences, generator)
        return self.random_windows(sequences, self.options["max_episode_steps"], generator)

    def decision(self, generator: np.random.Generator) -> Callable[[], Any]:
        """A pass over the window, or one step from the hidden state (`mode=recurrent`)."""
        if self.options["mode"] == "window":
            return super().decision(generator)
        policy = self.policy(1)
        states = generator.standard_normal((1, self.options["observation_dim"]), dtype=np.float32)
        return lambda: policy.act(states, np.ones(1, np.float32), np.ones(1, bool))

    def policy(
        self, episodes: int, cached: bool = True, generator: torch.Generator | None = None
    ) -> ReturnConditionedPolicy:
        """The trained model as a policy for `episodes` environments at once."""
        if self.options["mode"] == "window":
            return super().policy(episodes, cached, generator)
        return StepPolicy(self, episodes, self.options["max_episode_steps"], generator)
