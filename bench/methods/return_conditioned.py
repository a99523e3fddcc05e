"""What the return-conditioned methods share: windows of trajectories, embeddings, and decoding.

Shapes: B windows, K steps (`context_length`), D `embedding_dim`. Windows are padded on the left;
`mask` (B, K) is True where a step is real. Tricks, all of the Decision Transformer's code:
1. Trajectories are drawn with probability proportional to their length, then a step of it, evenly.
2. States are standardised by the dataset's mean and deviation (+ 1e-6).
3. Returns-to-go are undiscounted and divided by `return_scale`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch, Learner

Floats = NDArray[np.float32]


def interleave(tokens: list[Tensor]) -> Tensor:
    """[(B, K, D)] * m to (B, m K, D): the m tokens of a step follow each other (B3LD for m = 3)."""
    return torch.stack(tokens, dim=2).flatten(1, 2)


class StepEmbeddings(nn.Module):
    """Linear embeddings of return-to-go, state and action, and the optional timestep embedding."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        width = options["embedding_dim"]
        self.embed_return = nn.Linear(1, width)
        self.embed_state = nn.Linear(options["observation_dim"], width)
        self.embed_action = nn.Linear(options["action_dim"], width)
        self.embed_timestep = (
            nn.Embedding(options["max_timestep"], width) if options["position_embedding"] else None
        )

    def forward(self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor) -> list[Tensor]:
        """Embeddings [(..., D)] of returns (..., 1), states (..., S) and actions (..., A)."""
        embedded = [self.embed_return(returns), self.embed_state(states), self.embed_action(actions)]
        if self.embed_timestep is None:
            return embedded
        position = self.embed_timestep(timesteps)
        return [token + position for token in embedded]


class ReturnConditionedLearner(Learner):
    """Imitation of actions given the return that followed; sub-classes give the model.

    The model maps (returns (B, K, 1), states (B, K, S), actions (B, K, A), timesteps (B, K),
    mask (B, K)) to predicted actions (B, K, A), each from what came before it.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.model = self.make_model()
        self.mean = np.zeros(options["observation_dim"], np.float32)
        self.std = np.ones(options["observation_dim"], np.float32)

    @abstractmethod
    def make_model(self) -> nn.Module:
        """The model, freshly initialised."""

    def state(self) -> dict[str, Any]:
        """The normaliser of the states."""
        return {"mean": torch.from_numpy(self.mean), "std": torch.from_numpy(self.std)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back the normaliser."""
        self.mean, self.std = state["mean"].numpy(), state["std"].numpy()

    def normalise(self, states: Floats) -> Floats:
        """Standardise states (..., S)."""
        normalised: Floats = ((states - self.mean) / self.std).astype(np.float32)
        return normalised

    def prepare(self, dataset: Trajectories) -> None:
        """Take the states' normaliser, and lay out what batches are gathered from."""
        if self.options["normalise_states"]:
            self.mean, self.std = dataset.observation_mean, dataset.observation_std
        self.returns_to_go = dataset.returns_to_go() / np.float32(self.options["return_scale"])
        self.normalised = self.normalise(dataset.observations)

    def batch(self, dataset: Trajectories, generator: np.random.Generator) -> Batch:
        """Windows of up to K steps that start at random steps of the dataset."""
        length = self.options["context_length"]
        # A step drawn evenly over all transitions is a trajectory drawn by length, then a step of it.
        first = generator.integers(dataset.transitions, size=self.options["batch_size"])
        trajectory = np.searchsorted(dataset.starts, first, side="right") - 1
        end = np.minimum(first + length, dataset.starts[trajectory + 1])
        return self._gather(dataset, dataset.starts[trajectory], first, end, length)

    def _gather(
        self,
        dataset: Trajectories,
        start: NDArray[np.int64],
        first: NDArray[np.int64],
        end: NDArray[np.int64],
        length: int,
    ) -> Batch:
        """Steps first ... end - 1 of each window, padded on the left to `length`."""
        index = end[:, None] - length + np.arange(length)
        mask = index >= first[:, None]
        index = np.where(mask, index, first[:, None])
        timesteps = np.where(mask, index - start[:, None], 0)
        return {
            "returns": torch.from_numpy(self.returns_to_go[index] * mask).unsqueeze(-1),
            "states": torch.from_numpy(self.normalised[index] * mask[..., None]),
            "actions": torch.from_numpy(dataset.actions[index] * mask[..., None]),
            "timesteps": torch.from_numpy(np.minimum(timesteps, self.options["max_timestep"] - 1)),
            "mask": torch.from_numpy(mask),
        }

    def synthetic_batch(self, sequences: int, generator: np.random.Generator) -> Batch:
        """Full windows with random content."""
        return self.random_windows(sequences, self.options["context_length"], generator)

    def random_windows(self, sequences: int, length: int, generator: np.random.Generator) -> Batch:
        """Windows of `length` steps with random content."""

        def normal(width: int) -> Tensor:
            return torch.from_numpy(generator.standard_normal((sequences, length, width), dtype=np.float32))

        return {
            "returns": normal(1),
            "states": normal(self.options["observation_dim"]),
            "actions": normal(self.options["action_dim"]),
            "timesteps": torch.arange(length).expand(sequences, length).contiguous()
            % self.options["max_timestep"],
            "mask": torch.ones(sequences, length, dtype=torch.bool),
        }

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error of the actions over real steps (DeMa Section 3.1)."""
        predicted, mask = self.model(**batch), batch["mask"]
        return nn.functional.mse_loss(predicted[mask], batch["actions"][mask])

    def policy(self, episodes: int) -> ReturnConditionedPolicy:
        """The trained model as a policy for `episodes` environments at once."""
        return WindowPolicy(self, episodes)


class ReturnConditionedPolicy(Protocol):
    """What decodes actions in a batch of environments, one call a step."""

    def act(self, states: Floats, returns: Floats, alive: NDArray[np.bool_]) -> Floats:
        """(episodes, A) actions for states (episodes, S) and returns still wanted (episodes,)."""


class WindowPolicy:
    """Decodes from the last K steps: the whole window is read anew at every decision."""

    def __init__(self, learner: ReturnConditionedLearner, episodes: int) -> None:
        self.learner, options = learner, learner.options
        self.length, self.last = options["context_length"], options["max_timestep"] - 1
        self.returns = torch.zeros(episodes, 0, 1)
        self.states = torch.zeros(episodes, 0, options["observation_dim"])
        self.actions = torch.zeros(episodes, 0, options["action_dim"])
        self.time = 0

    def act(self, states: Floats, returns: Floats, alive: NDArray[np.bool_]) -> Floats:
        """(episodes, A) actions for states (episodes, S) and returns still wanted (episodes,).

        Episodes that are over are not decoded; their actions are zero.
        """
        scaled = torch.from_numpy(returns / np.float32(self.learner.options["return_scale"]))
        keep = slice(-self.length, None)
        self.returns = torch.cat([self.returns, scaled[:, None, None]], dim=1)[:, keep]
        self.states = torch.cat(
            [self.states, torch.from_numpy(self.learner.normalise(states))[:, None]], dim=1
        )[:, keep]
        unknown = self.actions.new_zeros(len(states), 1, self.actions.shape[2])
        self.actions = torch.cat([self.actions, unknown], dim=1)[:, keep]
        length, rows = self.states.shape[1], torch.from_numpy(alive)
        timesteps = torch.arange(self.time - length + 1, self.time + 1).clamp(max=self.last)
        count = int(rows.sum())
        predicted = self.learner.model(
            returns=self.returns[rows], states=self.states[rows], actions=self.actions[rows],
            timesteps=timesteps.expand(count, length), mask=torch.ones(count, length, dtype=torch.bool),
        )[:, -1]  # fmt: skip
        self.actions[rows, -1] = predicted
        self.time += 1
        chosen: Floats = self.actions[:, -1].numpy().copy()
        return chosen
