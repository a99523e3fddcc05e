"""Episodes cut into blocks of c steps, as DM-H's Mamba reads them (arXiv 2406.00079, equation 5).

Shapes: B contexts, E episodes in each, T steps in the longest, n blocks in the longest, c steps of a block,
M blocks of the longest context. An episode of length 0 is none.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.datasets.arrays import Numbers
from bench.datasets.episodes import Episodes, packing, tensor


class Blocks:
    """Episodes in blocks of c steps; an episode's last block is padded where c does not divide its length.

    `limit`: the most blocks of a context; what is over is cut from its beginning. 0 keeps all of them.

    Attributes: `count` blocks of the longest episode, their first steps `starts` (n,) and all steps `times`
    (n, c); `real` (B, E, n), which blocks there are; `inside` (B, E, n, c), which of their steps.
    """

    def __init__(self, episodes: Episodes, steps: int, limit: int = 0) -> None:
        self.episodes, self.steps = episodes, steps
        self.count = -(-episodes.rewards.shape[2] // steps)
        self.starts = np.arange(self.count) * steps
        step = np.arange(self.count * steps).reshape(self.count, steps)
        self.inside = step < episodes.lengths[..., None, None]
        # Steps of the padding repeat the last there can be, so that every step has its row in a table.
        self.times = np.minimum(step, episodes.rewards.shape[2] - 1)
        self.real = self.inside[..., 0]
        if limit:
            flat = self.real.reshape(len(self.real), -1)
            from_here = flat[:, ::-1].cumsum(axis=1)[:, ::-1]
            self.real = (flat & (from_here <= limit)).reshape(self.real.shape)

    def cut(self, values: Numbers) -> Numbers:
        """(B, E, T, ...) to (B, E, n, c, ...); padding repeats an episode's last step."""
        lengths = self.episodes.lengths
        last = np.maximum(lengths[..., None] - 1, 0)
        index = np.minimum(np.arange(self.count * self.steps), last)
        rows, columns = np.ogrid[: lengths.shape[0], : lengths.shape[1]]
        taken = values[rows[..., None], columns[..., None], index]
        return taken.reshape(*lengths.shape, self.count, self.steps, *values.shape[3:])

    def sums(self) -> Numbers:
        """(B, E, n) sum of the rewards of each block's own steps."""
        summed: Numbers = (self.cut(self.episodes.rewards) * self.inside).sum(axis=3)
        return summed

    def long_sequence(
        self, returns: Numbers, whole: bool, right: bool = False
    ) -> tuple[dict[str, Tensor], Tensor, NDArray[np.int64]]:
        """What Mamba reads of the blocks, each (B, M, ...), rows closed up to the left, or to the right.

        Every episode is told as if it were to earn `returns` (B,): the return to go of a block is that, less
        what its episode earned before it. `whole` adds every step of a block, else its first state and the
        sum of its rewards stand for it.

        Returns the arguments of `LongTermModule.tokens`; which blocks are real (B, M); and where block k of
        an episode went, (B, E, n).
        """
        batch = len(self.real)
        index, valid = packing(self.real.reshape(batch, -1), right)
        sums = self.sums()
        before = sums.cumsum(axis=2) - sums
        ends = self.starts + self.steps >= self.episodes.lengths[..., None]
        values: dict[str, Numbers] = {
            "block_returns": (returns[:, None, None] - before).astype(np.float32),
            "block_states": self.cut(self.episodes.states[:, :, :-1])[:, :, :, 0],
            "block_sums": sums,
            "block_completed": ends,
        }
        if whole:
            values["reached_states"] = self.cut(self.episodes.states[:, :, 1:])
            values["block_rewards"] = self.cut(self.episodes.rewards) * self.inside
        closed = {name: _taken(value, index) for name, value in values.items()}
        place = np.cumsum(self.real.reshape(batch, -1), axis=1).reshape(self.real.shape) - 1
        return closed, torch.from_numpy(valid), place


def _taken(values: Numbers, index: NDArray[np.int64]) -> Tensor:
    """Entries `index` (B, M) of values (B, E, n, ...) flattened over episodes."""
    flat = values.reshape(len(values), -1, *values.shape[3:])
    taken = flat[np.arange(len(values))[:, None], index]
    return torch.from_numpy(taken) if taken.dtype == np.bool_ else tensor(taken)
