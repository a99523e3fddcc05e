"""The contexts that DM-H trains on, as batches of blocks (arXiv 2406.00079, equations 4 and 5, Algorithm 1).

Shapes: B contexts, E episodes in each, S trained blocks, c steps of a block.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bench.datasets.episodes import Episodes, tensor
from bench.datasets.trajectories import Trajectories
from bench.methods.base import Batch
from bench.methods.dmh_blocks import Blocks
from bench.methods.dmh_goals import valuable_states
from bench.methods.dmh_model import DMHModel
from bench.methods.in_context import Contexts, draw_contexts, taken_trajectories
from bench.methods.places import places_of


class BlockContexts(Contexts):
    """A sampler of contexts in blocks.

    `context_packing=none` draws `batch_size` contexts of `context_episodes` episodes. `similar` draws
    `batch_size` trajectories and packs those of similar return into contexts of `context_blocks` blocks.
    """

    def __init__(self, model: DMHModel) -> None:
        super().__init__(model.options, model.normaliser, self.batch)
        self.model = model
        self.packs = self.options["context_packing"] == "similar"

    def contexts(self, generator: np.random.Generator) -> Episodes:
        """The episodes (B, E, ...) of a batch, as they are stored.

        Raises ValueError for histories that are to be packed.
        """
        options = self.options
        if not self.packs:
            return draw_contexts(self.dataset, options, options["batch_size"], generator)
        if not isinstance(self.dataset, Trajectories):
            raise ValueError(
                "context_packing: learning histories are of many tasks, and a pack is of one; set it to none"
            )
        drawn = drawn_by_length(self.dataset, options["batch_size"], generator)
        lengths = -(-self.dataset.lengths[drawn] // options["steps_per_subgoal"])
        chosen = packed(drawn, lengths, options["context_blocks"])
        episodes = taken_trajectories(self.dataset, np.maximum(chosen, 0), options["discrete_actions"])
        episodes.lengths = np.where(chosen < 0, 0, episodes.lengths)
        return episodes

    def batch(self, episodes: Episodes, generator: np.random.Generator) -> Batch:
        """What Mamba reads of contexts, and the steps of the blocks trained in this update.

        Of the blocks that may be trained, those of all episodes or of the last one, a share is.
        """
        options, long = self.options, self.model.long_term
        blocks = Blocks(
            episodes, options["steps_per_subgoal"], options["context_blocks"] if self.packs else 0
        )
        sequence, valid, place = blocks.long_sequence(episodes.returns[:, -1], long.rich)
        trainable = blocks.real.copy()
        if options["trained_episodes"] == "last":
            trainable[:, :-1] = False
        real = np.flatnonzero(trainable)
        share = max(1, round(options["trained_blocks"] * len(real)))
        if share < len(real):
            real = np.sort(generator.permutation(real)[:share])
        taken = np.unravel_index(real, trainable.shape)
        goals = np.zeros((0, 2), np.int64)
        if options["valuable_subgoals"]:
            goals = valuable_states(options, blocks)[taken]
        noise = generator.standard_normal((share, long.goals.draws, long.goals.size), dtype=np.float32)
        return sequence | {
            "trained": torch.from_numpy(taken[0] * valid.shape[1] + place[taken]),
            "noise": torch.from_numpy(noise),
            "states": tensor(blocks.cut(episodes.states[:, :, :-1])[taken]),
            "actions": tensor(blocks.cut(episodes.actions)[taken]),
            "rewards": tensor(blocks.cut(episodes.rewards)[taken]),
            "times": torch.from_numpy(blocks.times[taken[2]]),
            "real": places_of(blocks.inside[taken]),
            "valuable_states": tensor(goals),
        }


def drawn_by_length(dataset: Trajectories, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """(count,) trajectories in ascending order of return, drawn with a chance that grows with their length.

    The one of the highest return is never drawn (authors' code, gym/experiment.py, `pct_traj` 0).
    """
    by_return = np.argsort(dataset.returns, kind="stable")[: max(len(dataset) - 1, 1)]
    lengths = dataset.lengths[by_return]
    rank = generator.choice(len(by_return), size=count, p=lengths / lengths.sum())
    drawn: NDArray[np.int64] = by_return[np.sort(rank)]
    return drawn


def packed(drawn: NDArray[np.int64], blocks: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """(B, E) neighbours of `drawn` (count,), joined until a row has `limit` blocks; in front of them, -1.

    `blocks` (count,): how many each of them has. The last row may hold fewer.
    """
    rows: list[list[int]] = []
    held = limit
    for number, count in zip(drawn.tolist(), blocks.tolist(), strict=True):
        if held >= limit:
            rows.append([])
            held = 0
        rows[-1].append(number)
        held += count
    longest = max(map(len, rows))
    return np.array([[-1] * (longest - len(row)) + row for row in rows])
