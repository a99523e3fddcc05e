"""The rule by which a replay ladder is chosen from snapshots: by their scores, not by when they were made.

Returns are those in the snapshots' records. "Expert" is the return of D4RL's expert, a score of 100.

1. Around medium: of the snapshots whose samples earn 0.25 to 0.36 of expert, the three at most whose means
   gain least over their samples, and none whose means gain more than a fifth. Where means gain much, cloning
   alone beats its data, and nothing is left for a method that is asked for a return. 38 %, in equal shares.
2. Below medium: all snapshots before the first of these whose samples earn less than it. The untrained one
   has 4 %; the others have the rest, each a little less than the one before, the first half as much again as
   the last.
3. The tail: the snapshot whose means earn most, its noise scaled by 0.3, in whole episodes. 2 %.

The shares were fixed after trials on another run (docs/data.md) and before methods were trained on any run
that is shipped by them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.datasets.ladders import RungRecord
from bench.datasets.policies import BehaviourPolicy
from bench.errors import SpecError

MEDIUM_SCORES = (0.25, 0.36)  # of expert
LARGEST_GAIN = 1.2  # of means over samples
MOST_AROUND = 3
UNTRAINED, AROUND = 0.04, 0.38
TAIL, TAIL_NOISE = 0.02, 0.3
STEEPNESS = 1.5  # the share of the first trained snapshot over that of the last below medium
DIGITS = 4


def replay_ladder(
    snapshots: Sequence[BehaviourPolicy], expert: float, tail: float = TAIL, tail_noise: float = TAIL_NOISE
) -> tuple[list[BehaviourPolicy], list[RungRecord]]:
    """The snapshots that the rule chooses, early ones first and the tail's last, and their rungs.

    `snapshots` are in the order of their training, the untrained one first; `expert` is a return; `tail` and
    `tail_noise` are the tail's share and factor on the noise. Raises SpecError if nothing fits the rule.
    """
    around = _around_medium(snapshots, expert)
    below = [
        index for index in range(around[0]) if _samples(snapshots[index]) < _samples(snapshots[around[0]])
    ]
    if len(below) < 2 or below[0] != 0:
        raise SpecError(
            "A replay ladder needs the untrained snapshot and one more before the first that is around "
            "medium. Train a run with a smaller --every."
        )
    last = max(range(len(snapshots)), key=lambda index: _means(snapshots[index]))
    falling = np.linspace(STEEPNESS, 1.0, len(below) - 1)
    shares = [
        UNTRAINED,
        *(falling / falling.sum() * (1 - UNTRAINED - AROUND - tail)),
        *[AROUND / len(around)] * len(around),
    ]
    rounded = [round(float(share), DIGITS) for share in shares]
    rounded[-1] = round(1 - tail - sum(rounded[:-1]), DIGITS)
    rungs = [RungRecord(snapshot=index, share=share) for index, share in enumerate(rounded)]
    rungs.append(RungRecord(snapshot=len(rungs), share=tail, noise=tail_noise, whole_episodes=True))
    return [snapshots[index] for index in (*below, *around, last)], rungs


def _around_medium(snapshots: Sequence[BehaviourPolicy], expert: float) -> list[int]:
    low, high = (share * expert for share in MEDIUM_SCORES)
    gains = {
        index: _means(policy) / _samples(policy)
        for index, policy in enumerate(snapshots)
        if low <= _samples(policy) <= high
    }
    fitting = sorted((index for index, gain in gains.items() if gain <= LARGEST_GAIN), key=gains.__getitem__)
    if not fitting:
        raise SpecError(
            f"No snapshot is around medium: samples that earn {low:.0f} to {high:.0f}, and means that earn "
            f"no more than {LARGEST_GAIN} times that. Train a run with a smaller --every or another --seed."
        )
    return sorted(fitting[:MOST_AROUND])


def _means(policy: BehaviourPolicy) -> float:
    return float(policy.record["deterministic"]["return_mean"])


def _samples(policy: BehaviourPolicy) -> float:
    return float(policy.record["stochastic"]["return_mean"])
