"""Episodes cut into blocks of c steps, as DM-H reads them: triples, and valuable sub-goals."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.datasets.arrays import Numbers, States
from bench.datasets.episodes import Episodes, packing, tensor


def valuable_states(
    states: States,
    rewards: Numbers,
    lengths: NDArray[np.int64],
    starts: NDArray[np.int64],
    reach: int,
) -> States:
    """The valuable sub-goal of the step each block starts with (DM-H Section 4.3).

    v(s_j | s_t) = (sum of the rewards of steps t ... j - 1) / (j - t), over t < j <= t + reach; of
    equal values the latest counts, so that a stretch without reward points as far as it goes.

    Args:
        states: (N, T + 1, ...) of N episodes.
        rewards: (N, T).
        lengths: (N,) steps of each episode; what lies behind is padding.
        starts: (n,) first step of each block.
        reach: how many steps ahead a candidate may lie.

    Returns:
        (N, n, ...); for a block that begins at or behind the end, the last state.
    """
    horizon = rewards.shape[1]
    real = np.where(np.arange(horizon) < lengths[:, None], rewards, 0.0)
    earned = np.concatenate([np.zeros((len(rewards), 1)), real.cumsum(axis=1, dtype=np.float64)], axis=1)
    chosen = np.empty((len(rewards), len(starts), *states.shape[2:]), dtype=states.dtype)
    rows = np.arange(len(rewards))
    for number, start in enumerate(starts):
        ahead = np.arange(start + 1, min(start + reach, horizon) + 1)
        value = (earned[:, ahead] - earned[:, [start]]) / (ahead - start)
        value = np.where(ahead <= lengths[:, None], value, -np.inf)
        latest = len(ahead) - 1 - value[:, ::-1].argmax(axis=1)
        chosen[:, number] = states[rows, np.minimum(ahead[latest], lengths)]
    return chosen


class Blocks:
    """Episodes in blocks of c steps; an episode's last block is padded where c does not divide its length."""

    def __init__(self, episodes: Episodes, steps: int) -> None:
        self.episodes, self.steps = episodes, steps
        longest = episodes.rewards.shape[2]
        self.count = -(-longest // steps)
        self.starts = np.arange(self.count) * steps
        # (B, E) blocks of each episode, and (B, E, n, c) which of their steps are real.
        self.of_episode = -(-episodes.lengths // steps)
        step = np.arange(self.count * steps).reshape(self.count, steps)
        self.inside = step < episodes.lengths[..., None, None]

    def cut(self, values: Numbers) -> Numbers:
        """(B, E, T, ...) to (B, E, n, c, ...); padding repeats an episode's last step."""
        lengths = self.episodes.lengths
        index = np.minimum(np.arange(self.count * self.steps), lengths[..., None] - 1)
        rows, columns = np.ogrid[: lengths.shape[0], : lengths.shape[1]]
        taken = values[rows[..., None], columns[..., None], index]
        return taken.reshape(*lengths.shape, self.count, self.steps, *values.shape[3:])

    def triples(self, right: bool = False) -> tuple[dict[str, Tensor], Tensor, NDArray[np.int64]]:
        """The long-term sequence: ceil(length / c) + 1 triples an episode, the last one its end.

        Returns the arguments of `LongTermModule.tokens`, each (B, M, ...), rows closed up to the left (or to
        the right); which triples are real (B, M); and where triple k of an episode went, (B, E, n + 1).
        """
        episodes, at = self.episodes, np.arange(self.count + 1) * self.steps
        batch, count = episodes.rewards.shape[:2]
        rows, columns = np.arange(batch)[:, None, None], np.arange(count)[None, :, None]
        reached = np.minimum(at, episodes.lengths[..., None])
        rewards = self.cut(episodes.rewards) * self.inside
        none = np.full((batch, count, 1, self.steps), np.nan, np.float32)
        passed = self.cut(episodes.states[:, :, 1:])
        triple = np.arange(self.count + 1)
        real = triple <= self.of_episode[..., None]
        index, valid = packing(real.reshape(batch, -1), right)
        values = {
            "triple_states": episodes.states[rows, columns, reached],
            "triple_sums": np.concatenate(
                [np.zeros((batch, count, 1), np.float32), rewards.sum(axis=3)], axis=2
            ),
            "triple_completed": triple == self.of_episode[..., None],
            "passed_states": np.concatenate([passed[:, :, :1], passed], axis=2),
            "passed_rewards": np.concatenate([none, rewards], axis=2),
        }
        closed = {name: _taken(value, index) for name, value in values.items()}
        place = np.cumsum(real.reshape(batch, -1), axis=1).reshape(real.shape) - 1
        return closed, torch.from_numpy(valid), place


def _taken(values: Numbers, index: NDArray[np.int64]) -> Tensor:
    """Entries `index` (B, M) of values (B, E, n, ...) flattened over episodes."""
    flat = values.reshape(len(values), -1, *values.shape[3:])
    taken = flat[np.arange(len(values))[:, None], index]
    return torch.from_numpy(taken) if taken.dtype == np.bool_ else tensor(taken)
