"""How AMAGO acts: its past is read at once, what follows token by token, from a key-value cache."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.envs.gridworld import ACTIONS
from bench.methods.amago_model import AMAGOModel
from bench.methods.in_context import Episodes, choose_actions


class AMAGOPolicy:
    """Acts in a batch of rooms."""

    def __init__(self, model: AMAGOModel, options: dict[str, Any], device: torch.device, rooms: int) -> None:
        self.model, self.rooms = model.eval(), rooms
        self.options, self.device = options, device

    def restart(self) -> None:
        """Forget everything: a meta-episode begins."""
        self.states = self.model.backbone.allocate_state(self.rooms, self.model.max_tokens)
        self.fed = self.time = 0
        none = torch.full((self.rooms,), ACTIONS, device=self.device)
        self.before = none, torch.zeros(self.rooms, device=self.device)

    def next_episode(self) -> None:
        """Go on with the next episode of the meta-episode."""
        self.time = 0

    def begin(self, past: Episodes) -> None:
        """Start an episode: `past` holds all earlier ones; the last `context_episodes` - 1 are read."""
        self.restart()
        keep = self.options["context_episodes"] - 1
        count = past.actions.shape[1]
        latest = np.tile(np.arange(max(count - keep, 0), count), (self.rooms, 1))
        if latest.shape[1]:
            context = past.take(latest).ordered(self.options["context_order"])
            positions, actions, rewards = (values.to(self.device) for values in context.tensors)
            tokens = self.model.tokens(positions[:, :, :-1], actions, rewards)
            placed, self.fed = self.model.placed_from_first(tokens), tokens.shape[1]
            _, self.states = self.model.backbone.prefill(placed, None, self.model.max_tokens)
            self.before = actions[:, -1, -1], rewards[:, -1, -1]

    def _feed(self, token: Tensor) -> Tensor:
        placed = self.model.placed(token, self.fed)
        hidden, self.states = self.model.backbone.step(placed, self.states)
        self.fed += 1
        return hidden

    def act(
        self, positions: NDArray[np.int64], temperature: float, generator: torch.Generator
    ) -> NDArray[np.int64]:
        """(rooms,) actions for (rooms, 2) coordinates."""
        seen = torch.from_numpy(positions).to(self.device)
        time = torch.full((self.rooms,), self.time, device=self.device)
        logits = self.model.actor(self._feed(self.model.token(seen, *self.before, time)))
        self.chosen = choose_actions(logits, self.model.space, temperature, generator)
        return self.chosen

    def observe(self, rewards: NDArray[np.float32]) -> None:
        """Take in the (rooms,) rewards of the actions just chosen."""
        self.before = torch.from_numpy(self.chosen).to(self.device), torch.from_numpy(rewards).to(self.device)
        self.time += 1
