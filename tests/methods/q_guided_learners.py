"""Small learners of QT and Q-DeMa, their data, and networks that say what a test wants."""

from __future__ import annotations

import numpy as np
import torch
from suites import CATALOGUE
from torch import nn

from bench.catalogue.values import defaults
from bench.datasets.trajectories import Trajectories, Trajectory
from bench.methods.base import make_learner

METHODS = ["qt", "q-dema"]
POLICIES = [
    ("qt", {}),
    ("qt", {"position_embedding": False}),
    ("q-dema", {}),
    ("q-dema", {"block": "post"}),
    ("q-dema", {"tokens": "bl3d"}),
    ("q-dema", {"token_order": "return-state-action"}),
    ("q-dema", {"position_embedding": True, "tokens": "bl3d"}),
]
TINY = {"embedding_dim": 16, "d_model": 16, "d_state": 4, "layers": 2, "heads": 2, "context_length": 4,
        "hidden_dim": 8, "dropout": 0.0, "batch_size": 32, "observation_dim": 2, "action_dim": 1}  # fmt: skip
NEAR = {"rtol": 1e-4, "atol": 2e-5}


def make(method="qt", **changes):
    """A small learner of two numbers a state and one an action, whose every input matters."""
    torch.manual_seed(0)
    options = defaults(CATALOGUE, "hopper-medium", method)
    learner = make_learner(method, options | {k: v for k, v in TINY.items() if k in options} | changes)
    with torch.no_grad():
        for parameter in learner.model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    learner.prepare(some_trajectories())
    return learner


def episode(length, reward, first=0.0, terminated=True):
    """An episode whose observations count up from `first`, with rewards that grow by `reward` a step."""
    seen = first + np.arange(length + 1)
    observations = np.stack([seen, -seen], axis=1)
    return Trajectory.whole(
        observations, np.sin(seen[:-1])[:, None], reward * np.arange(1, length + 1), terminated
    )


def some_trajectories():
    """Four episodes of 7, 1, 3 and 5 steps; the last one was cut."""
    return Trajectories.from_episodes(
        [episode(7, 2.0), episode(1, 5.0, 10), episode(3, 1.0, 20), episode(5, 3.0, 30, terminated=False)]
    )


class Acting(nn.Module):
    """A policy that acts as a function of the window says."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, returns, states, actions, previous_actions, timesteps, mask, real=None):
        return self.answer(returns, states)
