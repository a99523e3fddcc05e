"""What the return-conditioned methods share: windows of trajectories, embeddings, and the loss.

Shapes: B windows, K steps (`context_length`), D `embedding_dim`, S numbers in a state, A in an action (or A
actions, one-hot, with `discrete_actions`). Windows are padded on the left; `mask` (B, K) is True where a step
is real. Tricks, all of the Decision Transformer's code:
1. Trajectories are drawn with probability proportional to their length, then a step of it, evenly
   (`window_start=anywhere`; `beginning` takes the first K steps of each).
2. States are standardised by the dataset's mean and deviation (+ 1e-6).
3. Returns-to-go are undiscounted and divided by `return_scale`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch
from bench.methods.decoding import ReturnConditionedPolicy, StepPolicy, WindowPolicy
from bench.methods.heads import prediction_head, prediction_loss
from bench.methods.normalised import NormalisedLearner
from bench.nn.state import Memory


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
        self.last = options["max_timestep"] - 1

    def forward(self, returns: Tensor, states: Tensor, actions: Tensor, timesteps: Tensor) -> list[Tensor]:
        """Embeddings [(..., D)] of returns (..., 1), states (..., S) and actions (..., A)."""
        embedded = [self.embed_return(returns), self.embed_state(states), self.embed_action(actions)]
        if self.embed_timestep is None:
            return embedded
        position = self.embed_timestep(timesteps)
        return [token + position for token in embedded]

    def at(self, returns: Tensor, states: Tensor, actions: Tensor, timestep: int) -> list[Tensor]:
        """The same for one step of returns (B, 1), states (B, S) and actions (B, A)."""
        timesteps = torch.full((len(states),), min(timestep, self.last), device=states.device)
        return self(returns, states, actions, timesteps)

    def decision(self, returns: Tensor, states: Tensor, before: Tensor, timestep: int) -> list[Tensor]:
        """Tokens [(B, D)] that are new at a decision: the last action (B, A), then return and state."""
        tokens = self.at(returns, states, before, timestep)[:2]
        if timestep == 0:
            return tokens
        # The action belongs to the step before, and so does its timestep embedding.
        return [self.at(returns, states, before, timestep - 1)[2], *tokens]


def action_head(options: dict[str, Any]) -> nn.Sequential:
    """From (..., D) to actions in -1 ... 1 (..., A), or to logits (..., A) with `discrete_actions`."""
    return prediction_head(options["embedding_dim"], options["action_dim"], options["discrete_actions"])


class ReturnConditionedModel(nn.Module, ABC):
    """A model over windows of (return-to-go, state, action) that can also read an episode step by step.

    It maps (returns (B, K, 1), states (B, K, S), actions (B, K, A), timesteps (B, K), mask (B, K)) to
    predicted actions, or their logits, (B, K, A), each from what came before it.
    """

    @abstractmethod
    def step(
        self, returns: Tensor, states: Tensor, before: Tensor, timestep: int, memory: Memory
    ) -> tuple[Tensor, Memory]:
        """Prediction (B, A) from returns (B, 1), states (B, S), the last action (B, A), and memory."""

    @abstractmethod
    def allocate_state(self, episodes: int, steps: int) -> Memory:
        """The memory before the first of at most `steps` steps."""


class ReturnConditionedLearner(NormalisedLearner):
    """Imitation of actions given the return that followed; sub-classes give the model."""

    model: ReturnConditionedModel

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options, options["observation_dim"])
        self.model = self.make_model()

    @abstractmethod
    def make_model(self) -> ReturnConditionedModel:
        """The model, freshly initialised."""

    def prepare(self, dataset: Trajectories) -> None:
        """Take the states' normaliser, and lay out what batches are gathered from."""
        self.take_normaliser(dataset)
        self.returns_to_go = dataset.returns_to_go() / np.float32(self.options["return_scale"])
        self.normalised = self.normalise(dataset.observations)

    def batch(self, dataset: Trajectories, generator: np.random.Generator) -> Batch:
        """Windows of up to K steps that start at random steps, or at the beginnings of episodes."""
        length, count = self.options["context_length"], self.options["batch_size"]
        if self.options["window_start"] == "beginning":
            trajectory = self.draw_trajectories(dataset, generator)
            first = dataset.starts[trajectory]
        else:
            # A step drawn evenly over all transitions is a trajectory drawn by length, then a step of it.
            first = generator.integers(dataset.transitions, size=count)
            trajectory = np.searchsorted(dataset.starts, first, side="right") - 1
        end = np.minimum(first + length, dataset.starts[trajectory + 1])
        return self._gather(dataset, dataset.starts[trajectory], first, end, length)

    def draw_trajectories(self, dataset: Trajectories, generator: np.random.Generator) -> NDArray[np.int64]:
        """(batch,) trajectories, drawn evenly.

        With `window_start=beginning` none is drawn twice while there are enough: in a maze with two optimal
        episodes a batch of two then always holds both.
        """
        count = self.options["batch_size"]
        if self.options["window_start"] == "beginning" and count <= len(dataset):
            return generator.permutation(len(dataset))[:count]
        return generator.integers(len(dataset), size=count)

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

        def actions() -> Tensor:
            count = self.options["action_dim"]
            if not self.options["discrete_actions"]:
                return normal(count)
            drawn = torch.from_numpy(generator.integers(count, size=(sequences, length)))
            return nn.functional.one_hot(drawn, count).float()

        return {
            "returns": normal(1),
            "states": normal(self.options["observation_dim"]),
            "actions": actions(),
            "timesteps": torch.arange(length).expand(sequences, length).contiguous()
            % self.options["max_timestep"],
            "mask": torch.ones(sequences, length, dtype=torch.bool),
        }

    def loss(self, batch: Batch) -> Tensor:
        """Mean over real steps: squared error, or cross-entropy of discrete actions (DeMa Section 3.1)."""
        mask = batch["mask"]
        predicted, actions = self.model(**batch)[mask], batch["actions"][mask]
        return prediction_loss(predicted, actions, self.options["discrete_actions"])

    def policy(
        self, episodes: int, cached: bool = True, generator: torch.Generator | None = None
    ) -> ReturnConditionedPolicy:
        """The trained model as a policy for `episodes` environments at once.

        Where the context holds the whole episode, each token is read once (a cache of keys and values for
        attention, a state for the others), which predicts what reading the window anew at every decision
        does; `cached=False` reads it anew all the same, as the papers timed it. `generator` draws discrete
        actions where the protocol's temperature is above 0.
        """
        steps = self.options["max_episode_steps"]
        if cached and self.options["context_length"] >= steps:
            return StepPolicy(self, episodes, steps, generator)
        return WindowPolicy(self, episodes, generator)
