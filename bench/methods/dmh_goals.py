"""The valuable sub-goals of DM-H's data (arXiv 2406.00079, Section 4, before equation 7).

Shapes: N episodes, T steps in the longest, n blocks of c steps; B contexts of E episodes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.arrays import Numbers, States
from bench.methods.dmh_blocks import Blocks


class Rule(NamedTuple):
    """Which later state of an episode is the most valuable.

    Attributes: `reach`, how many steps ahead it may lie; `latest`, whether the latest of equal values counts,
    so that a stretch without reward points as far as it goes, or the earliest; `passed`, whether the rewards
    on the way count, or those of the steps after, as their indices are printed; `floor`, a value that none is
    below.
    """

    reach: int
    latest: bool = False
    passed: bool = True
    floor: float = -np.inf


def valuable_steps(
    rewards: Numbers, lengths: NDArray[np.int64], starts: NDArray[np.int64], rule: Rule
) -> NDArray[np.int64]:
    """(N, n) step of the valuable sub-goal of each block.

    v(s_j | s_i) = (sum of the rewards from s_i to s_j) / (j - i), over i < j <= i + reach: those of the steps
    i ... j - 1 if `passed`, of i + 1 ... j else. An episode ends with the state after its last step.

    Args:
        rewards: (N, T) of N episodes.
        lengths: (N,) steps of each episode; what lies behind is padding.
        starts: (n,) first step of each block. One that begins at or behind the end has the last state.
        rule: which state counts.
    """
    horizon = rewards.shape[1]
    real = np.where(np.arange(horizon) < lengths[:, None], rewards, 0.0)
    earned = np.concatenate([np.zeros((len(rewards), 1)), real.cumsum(axis=1, dtype=np.float64)], axis=1)
    shift = 0 if rule.passed else 1
    chosen = np.empty((len(rewards), len(starts)), np.int64)
    for number, start in enumerate(starts):
        ahead = np.arange(start + 1, min(start + rule.reach, horizon) + 1)
        first, last = (np.minimum(step + shift, horizon) for step in (start, ahead))
        value = np.maximum((earned[:, last] - earned[:, [first]]) / (ahead - start), rule.floor)
        value = np.where(ahead <= lengths[:, None], value, -np.inf)
        best = len(ahead) - 1 - value[:, ::-1].argmax(axis=1) if rule.latest else value.argmax(axis=1)
        chosen[:, number] = np.minimum(ahead[best], lengths)
    return chosen


def overtaking_blocks(
    sums: Numbers, real: NDArray[np.bool_], earlier: Numbers, earlier_real: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """(N, n) block of the earlier episode that guides each block of an episode, -1 where none does.

    It is the block after the first at whose end the earlier episode had earned more than the episode has at
    the end of its block, searched from the last one found on (authors' code, gym/experiment.py).

    sums, earlier (N, n): rewards of the blocks of the episode and of the one before; real, earlier_real
    (N, n): which blocks there are, all true ones first.
    """
    now, then = sums.cumsum(axis=1), earlier.cumsum(axis=1)
    number = np.arange(sums.shape[1])
    last = earlier_real.sum(axis=1) - 1
    found = np.full(sums.shape, -1, np.int64)
    pointer = np.zeros(len(sums), np.int64)
    for block in number:
        more = earlier_real & (then > now[:, [block]]) & (number >= pointer[:, None])
        hit = more.any(axis=1) & real[:, block]
        pointer = np.where(hit, more.argmax(axis=1), pointer)
        found[hit, block] = np.minimum(pointer + 1, last)[hit]
    return found


def valuable_states(options: Options, blocks: Blocks) -> States:
    """(B, E, n, ...) the valuable sub-goal of each block, by the options `subgoal_*` and `goal_range`.

    `subgoal_rule=previous` prefers a state of the episode before in the context, where that earned more.
    """
    episodes, steps = blocks.episodes, blocks.steps
    batch, count, horizon = episodes.rewards.shape
    previous = options["subgoal_rule"] == "previous"
    rule = Rule(
        reach=horizon if options["goal_range"] == "episode" else steps,
        latest=options["subgoal_ties"] == "latest",
        passed=options["subgoal_rewards"] == "passed",
        floor=0.0 if previous else -np.inf,
    )
    lengths = episodes.lengths.ravel()
    own = valuable_steps(episodes.rewards.reshape(-1, horizon), lengths, blocks.starts, rule)
    chosen_step = own.reshape(batch, count, blocks.count)
    rows, columns, _ = np.ogrid[:batch, :count, : blocks.count]
    chosen_episode = np.broadcast_to(columns, chosen_step.shape)
    if previous and count > 1:
        sums, real = blocks.sums(), blocks.inside[..., 0]
        pairs = (
            values.reshape(-1, blocks.count)
            for values in (sums[:, 1:], real[:, 1:], sums[:, :-1], real[:, :-1])
        )
        guide = np.full(chosen_step.shape, -1, np.int64)
        guide[:, 1:] = overtaking_blocks(*pairs).reshape(batch, count - 1, blocks.count)
        chosen_step = np.where(guide < 0, chosen_step, guide * steps)
        chosen_episode = np.where(guide < 0, chosen_episode, columns - 1)
    found: States = episodes.states[rows, chosen_episode, chosen_step]
    return found
