"""Whole episodes of several environments, and their steps packed into one sequence each.

Shapes: B rows, E episodes in a row, T steps in the longest of them, S numbers in a state, A in an action.
Actions are integers (...) or vectors (..., A).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.datasets.arrays import Actions, Numbers, States


@dataclass
class Episodes:
    """Whole episodes: states (B, E, T + 1, S), actions (B, E, T, ...), rewards (B, E, T), lengths (B, E).

    What lies behind an episode's length is padding, of any content.
    """

    states: States
    actions: Actions
    rewards: Numbers
    lengths: NDArray[np.int64]

    def take(self, order: NDArray[np.int64]) -> Episodes:
        """The episodes `order` (B, E') names, in that order."""
        rows = np.arange(len(order))[:, None]
        return Episodes(
            self.states[rows, order], self.actions[rows, order], self.rewards[rows, order],
            self.lengths[rows, order],
        )  # fmt: skip

    @classmethod
    def whole(cls, states: States, actions: Actions, rewards: Numbers) -> Episodes:
        """Episodes that all last T steps."""
        return cls(states, actions, rewards, np.full(rewards.shape[:2], rewards.shape[2]))

    @classmethod
    def none(cls, states: States) -> Episodes:
        """No episodes (B, 0, ...), of environments whose states are like `states` (B, S)."""
        count = len(states)
        seen = np.zeros((count, 0, 2, states.shape[1]), states.dtype)
        return cls.whole(seen, np.zeros((count, 0, 1), np.int64), np.zeros((count, 0, 1), np.float32))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """States (B, E, T + 1, S), actions (B, E, T, ...) and rewards (B, E, T), integers as int64."""
        return tensor(self.states), tensor(self.actions), tensor(self.rewards)

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(B, E, T) whether a step is inside its episode."""
        within: NDArray[np.bool_] = np.arange(self.rewards.shape[2]) < self.lengths[..., None]
        return within

    @property
    def returns(self) -> Numbers:
        """(B, E) returns."""
        summed: Numbers = (self.rewards * self.inside).sum(axis=2)
        return summed

    def ordered(self, order: str) -> Episodes:
        """By ascending return (equal returns keep their time order), or as they are, in time."""
        if order == "time":
            return self
        return self.take(np.argsort(self.returns, axis=1, kind="stable"))


class Packed(NamedTuple):
    """The steps of episodes one after the other: (B, N, ...), N the most of a row; `valid` (B, N)."""

    states: Tensor
    actions: Tensor
    rewards: Tensor
    valid: Tensor

    def to(self, device: torch.device) -> Packed:
        """The same on a device."""
        return Packed(*(values.to(device) for values in self))


def packing(inside: NDArray[np.bool_], right: bool = False) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where the true entries of `inside` (B, M) go when each row is closed up to the left, or to the right.

    Returns the index of each entry (B, N), N the most true entries of a row, and which are real (B, N).
    """
    counts = inside.sum(axis=1)
    width = int(counts.max())
    order = np.argsort(~inside, axis=1, kind="stable")[:, :width]
    place = np.arange(width) - (width - counts[:, None] if right else 0)
    valid = (place >= 0) & (place < counts[:, None])
    return np.take_along_axis(order, np.where(valid, place, 0), axis=1), valid


def pack(episodes: Episodes, right: bool = False) -> Packed:
    """The steps of each row of episodes in one sequence; shorter rows are padded, on the left if `right`."""
    batch, count, longest = episodes.rewards.shape
    index, valid = packing(episodes.inside.reshape(batch, -1), right)
    rows = np.arange(batch)[:, None]
    flat = [
        values.reshape(batch, count * longest, *values.shape[3:])[rows, index]
        for values in (episodes.states[:, :, :-1], episodes.actions, episodes.rewards)
    ]
    states, actions, rewards = (tensor(values) for values in flat)
    return Packed(states, actions, rewards, torch.from_numpy(valid))


def tensor(values: Numbers) -> Tensor:
    """Integers as int64, other numbers as float32."""
    whole = np.issubdtype(values.dtype, np.integer)
    return torch.from_numpy(np.ascontiguousarray(values, np.int64 if whole else np.float32))
