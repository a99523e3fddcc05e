"""What tests of the feed-forward methods share: small learners, and four trajectories to learn from."""

from __future__ import annotations

import numpy as np
import torch
from suites import CATALOGUE
from torch import nn

from bench.catalogue.values import defaults
from bench.datasets.trajectories import Trajectories, Trajectory
from bench.methods.base import make_learner

TINY = {"observation_dim": 2, "action_dim": 1, "hidden_dim": 8, "batch_size": 16}


def make(method, **changes):
    """A small learner of two numbers a state and one an action, with its dataset laid out."""
    torch.manual_seed(0)
    learner = make_learner(method, defaults(CATALOGUE, "hopper-medium", method) | TINY | changes)
    learner.prepare(some_trajectories())
    return learner


def episode(length, reward, first=0.0, terminated=True):
    """An episode whose observations count up from `first`, with the same reward at each step."""
    seen = first + np.arange(length + 1)
    observations = np.stack([seen, -seen], axis=1)
    actions = np.sin(seen[:-1])[:, None]
    return Trajectory.whole(observations, actions, np.full(length, reward), terminated)


def some_trajectories():
    """Four episodes with returns 6, 20, 5 and 12; the last one was cut."""
    return Trajectories.from_episodes(
        [episode(3, 2.0), episode(4, 5.0, 10), episode(5, 1.0, 20), episode(4, 3.0, 30, terminated=False)]
    )


class Said(nn.Module):
    """A network that answers by a function of its input."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x)
