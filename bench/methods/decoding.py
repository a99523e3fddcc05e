"""Decoding of return-conditioned models: from a window that is read again, or from a memory, step by step."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bench.catalogue.option_types import Options
from bench.datasets.episodes import Episodes
from bench.methods.base import Floats, Observation, Trial
from bench.methods.frames import kept_shape
from bench.methods.heads import chosen_actions
from bench.methods.return_conditioned import ReturnConditionedModel
from bench.methods.state_reader import StateReader
from bench.nn.state import Memory


def choose_actions(predicted: Tensor, trial: Trial, discrete: bool) -> Tensor:
    """(count, A) predictions to actions: themselves, or one-hot if they are `discrete`."""
    if not discrete:
        return predicted
    return chosen_actions(predicted, trial.temperature, trial.generator, trial.likeliest)


class Inputs:
    """What a model reads of what a policy is shown."""

    def __init__(self, normaliser: StateReader, options: Options) -> None:
        self.normaliser, self.scale = normaliser, np.float32(options["return_scale"])

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.normaliser.device

    def __call__(self, seen: Observation) -> tuple[Tensor, Tensor]:
        """Returns still wanted (count, 1), scaled, and states (count, S), standardised, or features."""
        wanted, device = torch.from_numpy(seen.wanted / self.scale).unsqueeze(-1), self.device
        return wanted.to(device), self.normaliser(torch.from_numpy(seen.states).to(device))


class Window:
    """The last K steps of every episode, as the model reads them.

    Fewer than K are padded with zeros to K if the model attends to padding, and are read alone otherwise.
    """

    def __init__(self, options: Options, count: int, device: torch.device) -> None:
        self.length, self.last = options["context_length"], options["max_timestep"] - 1
        self.padded = options["padding"] == "attended"
        self.returns = torch.zeros(count, 0, 1, device=device)
        kept = kept_shape(options, options["embedding_dim"])
        self.states = torch.zeros(count, 0, *kept, device=device)
        # One more than there are steps: the first is the action before them, zero before an episode.
        self.actions = torch.zeros(count, 1, options["action_dim"], device=device)
        self.time = 0

    def add(self, returns: Tensor, states: Tensor) -> None:
        """Go on by a step of returns (count, 1) and states (count, S) whose action is not known yet."""
        self.returns = torch.cat([self.returns, returns[:, None]], dim=1)[:, -self.length :]
        self.states = torch.cat([self.states, states[:, None]], dim=1)[:, -self.length :]
        unknown = self.actions.new_zeros(len(states), 1, self.actions.shape[2])
        self.actions = torch.cat([self.actions, unknown], dim=1)[:, -self.length - 1 :]
        self.time += 1

    def of(self, rows: Tensor, count: int) -> dict[str, Tensor]:
        """What a model takes of the `count` episodes `rows`."""
        length, device = self.states.shape[1], self.states.device
        timesteps = torch.arange(self.time - length, self.time, device=device)
        window = {
            "returns": self.returns[rows], "states": self.states[rows], "actions": self.actions[rows, 1:],
            "previous_actions": self.actions[rows, :-1],
            "timesteps": timesteps.clamp(max=self.last).expand(count, length),
            "mask": torch.ones(count, length, dtype=torch.bool, device=device),
        }  # fmt: skip
        return padded_on_left(window, self.length - length) if self.padded else window


def padded_on_left(window: dict[str, Tensor], steps: int) -> dict[str, Tensor]:
    """The window (n, L, ...) behind so many steps of padding: zeros, and False in the mask."""
    return {
        name: torch.cat([values.new_zeros(len(values), steps, *values.shape[2:]), values], dim=1)
        for name, values in window.items()
    }


class WindowPolicy:
    """Decodes from the last K steps: the whole window is read again at every decision."""

    def __init__(
        self,
        model: ReturnConditionedModel,
        normaliser: StateReader,
        options: Options,
        trial: Trial,
    ) -> None:
        self.model, self.options, self.trial = model.eval(), options, trial
        self.inputs = Inputs(normaliser, options)
        self.window = Window(options, trial.count, self.inputs.device)

    def begin(self, past: Episodes) -> None:
        """Begin an episode; earlier ones are not read."""
        self.window = Window(self.options, self.trial.count, self.inputs.device)

    def act(self, seen: Observation) -> Floats:
        """(count, A) actions. Episodes that are over are not decoded; their actions are zero."""
        self.window.add(*self.inputs(seen))
        rows = torch.from_numpy(seen.alive).to(self.inputs.device)
        window = self.window.of(rows, int(seen.alive.sum()))
        predicted = self.model(**window)[:, -1]
        self.window.actions[rows, -1] = choose_actions(
            predicted, self.trial, self.options["discrete_actions"]
        )
        chosen: Floats = self.window.actions[:, -1].cpu().numpy().copy()
        return chosen

    def observe(self, rewards: Floats) -> None:
        """Rewards reach the policy through the return still wanted."""


class StepPolicy:
    """Decodes from what the model remembers of the episode: each token is read once.

    A recurrent model's cost of a decision does not grow with the episode, and it can go on for ever;
    attention's grows with the keys it holds, of which there is room for `max_episode_steps` steps.
    """

    memory: Memory

    def __init__(
        self,
        model: ReturnConditionedModel,
        normaliser: StateReader,
        options: Options,
        trial: Trial,
    ) -> None:
        self.model, self.options, self.trial = model.eval(), options, trial
        self.inputs = Inputs(normaliser, options)
        self._forget()

    def _forget(self) -> None:
        count, steps = self.trial.count, self.options["max_episode_steps"]
        self.memory = self.model.allocate_state(count, steps)
        self.last_action = torch.zeros(count, self.options["action_dim"], device=self.inputs.device)
        self.time = 0

    def begin(self, past: Episodes) -> None:
        """Begin an episode; earlier ones are not read."""
        self._forget()

    def act(self, seen: Observation) -> Floats:
        """(count, A) actions; episodes that are over are decoded too, which costs almost nothing."""
        wanted, states = self.inputs(seen)
        predicted, self.memory = self.model.step(wanted, states, self.last_action, self.time, self.memory)
        self.last_action = choose_actions(predicted, self.trial, self.options["discrete_actions"])
        self.time += 1
        chosen: Floats = self.last_action.cpu().numpy().copy()
        return chosen

    def observe(self, rewards: Floats) -> None:
        """Rewards reach the policy through the return still wanted."""

    def rewind(self, steps: int) -> None:
        """Act next as after `steps` steps of an episode, whatever they were; for timing."""
        self.time = steps
        self.memory = self.memory.at(self.model.layout.before_decision(steps))
