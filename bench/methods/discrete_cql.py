"""CQL on frames (Kumar et al. 2020, Section 6.3): QR-DQN with the conservative term.

The network gives QUANTILES of the return of each action (Dabney et al. 2018); an action's value is their
mean. Targets come from a network that follows the first by `target_update`, at its own best action. Rewards
are clipped to -1 ... 1, as in DQN. The conservative term is CQL(H)'s: log-sum-exp of the values less the
value of the dataset's action, times `conservative_weight`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from bench.catalogue.option_types import Options
from bench.datasets.frame_trajectories import FrameTrajectories
from bench.methods.base import Batch, Learner, Trial
from bench.methods.critics import polyak_update, start_target
from bench.methods.feed_forward import FeedForwardModel, FeedForwardPolicy
from bench.methods.frame_reader import FrameReader
from bench.methods.frames import frame_encoder
from bench.methods.transitions import Columns, Transitions

QUANTILES = 200  # Dabney et al. 2018
COLUMNS = ("states", "actions", "rewards", "next_states", "terminations")


class QuantileNetwork(nn.Module):
    """From frames, or their features, to the mean of each action's quantiles."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.actions = options["action_dim"]
        self.encoder = frame_encoder(options, options["hidden_dim"])
        self.head = nn.Linear(options["hidden_dim"], self.actions * QUANTILES)

    def quantiles(self, states: Tensor) -> Tensor:
        """(B, A, QUANTILES) of grey levels (B, frames, side, side), uint8, or features (B, hidden_dim)."""
        return self.head(self.encoder(states)).unflatten(-1, (self.actions, QUANTILES))

    def forward(self, states: Tensor) -> Tensor:
        """(B, A) values."""
        return self.quantiles(states).mean(-1)


class DiscreteCQLModel(FeedForwardModel):
    """The network that acts, and the one that targets come from."""

    actor: QuantileNetwork

    def __init__(self, options: Options) -> None:
        actor = QuantileNetwork(options)
        super().__init__(actor, FrameReader(actor.encoder, options))
        self.target = QuantileNetwork(options)
        start_target(self.target, actor)


def quantile_huber_loss(predicted: Tensor, targets: Tensor) -> Tensor:
    """Mean over rows and targets of the quantile Huber loss, summed over the N quantiles (B, N) predicted.

    Targets (B, M). The threshold is 1 (Dabney et al. 2018, equation 10).
    """
    count = predicted.shape[1]
    middles = (torch.arange(count, device=predicted.device) + 0.5) / count
    errors = targets[:, None, :] - predicted[:, :, None]
    huber = nn.functional.huber_loss(errors, torch.zeros_like(errors), reduction="none")
    weights = (middles[:, None] - (errors.detach() < 0).float()).abs()
    return (weights * huber).mean(dim=2).sum(dim=1).mean()


class DiscreteCQLLearner(Learner):
    """Quantiles drawn to targets, and held down where the data have no action."""

    model: DiscreteCQLModel

    def __init__(self, options: Options) -> None:
        model = DiscreteCQLModel(options)
        super().__init__(options, model, Transitions(options, model.normaliser, COLUMNS, self._lay_out))

    def _lay_out(self, dataset: FrameTrajectories, reader: FrameReader) -> Columns:
        return {
            "states": reader.of(dataset.observations),
            "actions": dataset.actions,
            "rewards": dataset.rewards.clip(-1.0, 1.0),
            "next_states": reader.of(dataset.next_observations),
            "terminations": dataset.terminations,
        }

    def move(self, done: int, generator: np.random.Generator) -> None:
        """Move the target network by the update before; it starts as the other, which reads frames by now."""
        if done:
            polyak_update(self.model.target, self.model.actor, self.options["target_update"])
        else:
            start_target(self.model.target, self.model.actor)

    @torch.no_grad()
    def targets(self, batch: Batch) -> Tensor:
        """(B, QUANTILES) r + discount (1 - termination) times the target's quantiles of its best action."""
        ahead = self.model.target.quantiles(batch["next_states"])
        best = ahead.mean(-1).argmax(-1)
        chosen = ahead[torch.arange(len(best), device=best.device), best]
        share = self.options["value_discount"] * (1.0 - batch["terminations"])
        return batch["rewards"][:, None] + share[:, None] * chosen

    def loss(self, batch: Batch) -> Tensor:
        """The quantile Huber loss, and the conservative term."""
        quantiles, actions = self.model.actor.quantiles(batch["states"]), batch["actions"]
        known = (quantiles * actions[..., None]).sum(1)
        values = quantiles.mean(-1)
        conservative = (torch.logsumexp(values, dim=-1) - known.mean(-1)).mean()
        error = quantile_huber_loss(known, self.targets(batch))
        return error + self.options["conservative_weight"] * conservative

    def policy(self, trial: Trial) -> FeedForwardPolicy:
        """The best action by the values: nothing is drawn at random."""
        return FeedForwardPolicy(self.model, replace(trial, temperature=0.0), discrete=True)
