"""What an agent that knows its task does in the dark-room family: the labels of decision pretraining."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.worlds.gridworld.world import MOVES

KNOWN_WORLDS = ("darkroom", "darkroom-hard", "dark-key-to-door")
STAY = 4


def optimal_actions(
    world: str, positions: NDArray[Any], goals: NDArray[Any], rewarded: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(..., ACTIONS) whether each action lies on a shortest way to what pays next.

    That is the goal; in `dark-key-to-door` the key, and the door once the key was taken. There the agent
    stays; where nothing is left to earn it does the same, although any action would do.

    Args:
        world: a world whose actions do the same in every task.
        positions: (..., 2) cells of the agent.
        goals: (..., 2), or (..., 4) key and door cells.
        rewarded: (...) whether a reward was paid earlier in the episode (the key, say).

    Raises:
        ValueError: a world of which this module does not know what pays.
    """
    if world not in KNOWN_WORLDS:
        raise ValueError(f"world must be one of {', '.join(KNOWN_WORLDS)}, got {world!r}")
    target = goals[..., :2]
    if world == "dark-key-to-door":
        target = np.where(np.asarray(rewarded)[..., None], goals[..., 2:], target)
    way = np.asarray(target, np.int64) - np.asarray(positions, np.int64)
    # A step along the way never meets a wall; of the five moves only such a one has product 1.
    optimal: NDArray[np.bool_] = np.sign(way) @ MOVES.T == 1
    optimal[..., STAY] = (way == 0).all(axis=-1)
    return optimal


def action_labels(optimal: NDArray[np.bool_], rule: str) -> NDArray[np.float32]:
    """(..., ACTIONS) probabilities over the optimal actions, from which a label is read.

    rule `x-first`: all on the first of them, so that the agent walks along x before y; `even`: the same
    on each of them.
    """
    if rule == "even":
        shares: NDArray[np.float32] = (optimal / optimal.sum(axis=-1, keepdims=True)).astype(np.float32)
        return shares
    one_hot: NDArray[np.float32] = np.eye(len(MOVES), dtype=np.float32)[optimal.argmax(axis=-1)]
    return one_hot
