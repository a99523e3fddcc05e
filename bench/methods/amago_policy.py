"""How AMAGO acts: its past is read at once, what follows token by token, from a key-value cache."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.datasets.arrays import Actions
from bench.datasets.episodes import Episodes
from bench.methods.amago_model import AMAGOModel
from bench.methods.base import Floats, Observation, Trial
from bench.methods.in_context import choose_actions, kept_episodes
from bench.worlds.gridworld.world import ACTIONS


class AMAGOPolicy:
    """Acts in a batch of rooms."""

    def __init__(self, model: AMAGOModel, trial: Trial) -> None:
        self.model, self.trial = model.eval(), trial
        self.options, self.device = model.options, next(model.parameters()).device

    def restart(self) -> None:
        """Forget everything: a meta-episode begins."""
        count = self.trial.count
        self.states = self.model.backbone.allocate_state(count, self.model.max_tokens)
        self.fed = self.time = 0
        none = torch.full((count,), ACTIONS, device=self.device)
        self.last = none, torch.zeros(count, device=self.device)

    def next_episode(self) -> None:
        """Go on with the next episode of the meta-episode."""
        self.time = 0

    def begin(self, past: Episodes) -> None:
        """Begin an episode: `past` holds all earlier ones; `context_episodes` - 1 of them are read."""
        self.restart()
        context = kept_episodes(past, self.options, self.options["context_episodes"] - 1)
        if context.actions.shape[1]:
            positions, actions, rewards = (values.to(self.device) for values in context.tensors)
            tokens = self.model.tokens(positions[:, :, :-1], actions, rewards)
            placed, self.fed = self.model.placed_from_first(tokens), tokens.shape[1]
            _, self.states = self.model.backbone.prefill(placed, None, self.model.max_tokens)
            self.last = actions[:, -1, -1], rewards[:, -1, -1]

    def _feed(self, token: Tensor) -> Tensor:
        placed = self.model.placed(token, self.fed)
        hidden, self.states = self.model.backbone.step(placed, self.states)
        self.fed += 1
        return hidden

    def act(self, seen: Observation) -> Actions:
        """(count,) actions for coordinates (count, 2)."""
        positions = torch.from_numpy(seen.states).to(self.device)
        time = torch.full((self.trial.count,), self.time, device=self.device)
        logits = self.model.actor(self._feed(self.model.token(positions, *self.last, time)))
        self.chosen = choose_actions(logits, self.model.space, self.trial)
        return self.chosen

    def observe(self, rewards: Floats) -> None:
        """Take in the rewards (count,) of the actions just chosen."""
        self.last = torch.from_numpy(self.chosen).to(self.device), torch.from_numpy(rewards).to(self.device)
        self.time += 1
