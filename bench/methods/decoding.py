"""Decoding of return-conditioned models: from a window that is read anew, or from a memory, step by step."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.methods.heads import drawn_actions

Floats = NDArray[np.float32]


class Decoded(Protocol):
    """What a policy reads of the learner whose model it decodes."""

    options: dict[str, Any]
    model: Any

    @property
    def device(self) -> torch.device:
        """Where the model is."""

    def normalise(self, states: Floats) -> Floats:
        """States (..., S) as the model reads them."""


class ReturnConditionedPolicy(Protocol):
    """What decodes actions in a batch of environments, one call a step."""

    def act(self, states: Floats, returns: Floats, alive: NDArray[np.bool_]) -> Floats:
        """(episodes, A) actions for states (episodes, S) and returns still wanted (episodes,)."""


def choose_actions(
    predicted: Tensor, options: dict[str, Any], generator: torch.Generator | None = None
) -> Tensor:
    """(episodes, A) predictions to actions: themselves, or one-hot with `discrete_actions`.

    Raises ValueError as `drawn_actions` does.
    """
    if not options["discrete_actions"]:
        return predicted
    chosen = drawn_actions(predicted, options["temperature"], generator)
    return nn.functional.one_hot(chosen, predicted.shape[-1]).to(predicted.dtype)


def _inputs(learner: Decoded, returns: Floats, states: Floats) -> tuple[Tensor, Tensor]:
    """What a model reads of returns still wanted (episodes,), (episodes, 1), and of states (episodes, S)."""
    scaled = torch.from_numpy(returns / np.float32(learner.options["return_scale"])).unsqueeze(-1)
    return scaled.to(learner.device), torch.from_numpy(learner.normalise(states)).to(learner.device)


class WindowPolicy:
    """Decodes from the last K steps: the whole window is read anew at every decision."""

    def __init__(self, learner: Decoded, episodes: int, generator: torch.Generator | None = None) -> None:
        self.learner, self.generator, options = learner, generator, learner.options
        self.length, self.last = options["context_length"], options["max_timestep"] - 1
        self.device = learner.device
        self.returns = torch.zeros(episodes, 0, 1, device=self.device)
        self.states = torch.zeros(episodes, 0, options["observation_dim"], device=self.device)
        self.actions = torch.zeros(episodes, 0, options["action_dim"], device=self.device)
        self.time = 0

    def act(self, states: Floats, returns: Floats, alive: NDArray[np.bool_]) -> Floats:
        """(episodes, A) actions for states (episodes, S) and returns still wanted (episodes,).

        Episodes that are over are not decoded; their actions are zero.
        """
        scaled, seen = _inputs(self.learner, returns, states)
        keep = slice(-self.length, None)
        self.returns = torch.cat([self.returns, scaled[:, None]], dim=1)[:, keep]
        self.states = torch.cat([self.states, seen[:, None]], dim=1)[:, keep]
        unknown = self.actions.new_zeros(len(states), 1, self.actions.shape[2])
        self.actions = torch.cat([self.actions, unknown], dim=1)[:, keep]
        length, count, rows = self.states.shape[1], int(alive.sum()), torch.from_numpy(alive).to(self.device)
        timesteps = torch.arange(self.time - length + 1, self.time + 1, device=self.device)
        window = {
            "returns": self.returns[rows], "states": self.states[rows], "actions": self.actions[rows],
            "timesteps": timesteps.clamp(max=self.last).expand(count, length),
            "mask": torch.ones(count, length, dtype=torch.bool, device=self.device),
        }  # fmt: skip
        self.actions[rows, -1] = choose_actions(
            self.predict(window, rows), self.learner.options, self.generator
        )
        self.time += 1
        chosen: Floats = self.actions[:, -1].cpu().numpy().copy()
        return chosen

    def predict(self, window: dict[str, Tensor], rows: Tensor) -> Tensor:
        """(count, A) what the model predicts at the end of `count` windows, those of the episodes `rows`."""
        predicted: Tensor = self.learner.model(**window)[:, -1]
        return predicted


class StepPolicy:
    """Decodes from what the model remembers of the episode: each token is read once.

    A recurrent model's cost of a decision does not grow with the episode, and it can go on for ever;
    attention's grows with the keys it holds, of which there is room for `steps` steps.
    """

    def __init__(
        self,
        learner: Decoded,
        episodes: int,
        steps: int,
        generator: torch.Generator | None = None,
    ) -> None:
        self.learner, self.generator = learner, generator
        self.memory = learner.model.allocate_state(episodes, steps)
        self.before = torch.zeros(episodes, learner.options["action_dim"], device=learner.device)
        self.time = 0

    def act(self, states: Floats, returns: Floats, alive: NDArray[np.bool_]) -> Floats:
        """(episodes, A) actions; episodes that are over are decoded too, which costs almost nothing."""
        scaled, seen = _inputs(self.learner, returns, states)
        predicted, self.memory = self.learner.model.step(scaled, seen, self.before, self.time, self.memory)
        self.before = choose_actions(predicted, self.learner.options, self.generator)
        self.time += 1
        chosen: Floats = self.before.cpu().numpy().copy()
        return chosen
