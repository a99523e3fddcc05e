"""BC-10: behaviour cloning of the trajectories with the highest return (DM-H Table 2: the top 10 %).

`best_share_of=trajectories` keeps that share of their number, rounded down, as CORL does, whose best scores
DM-H's column equals in nine of nine cells. `transitions` keeps trajectories whole, best first, until the
share of the transitions is reached, as DT's code does: the last one is not cut, so that a little more than
the share can be kept. The states' normaliser is that of what is kept.
"""

from __future__ import annotations

import numpy as np

from bench.catalogue.option_types import Options
from bench.datasets.trajectories import Trajectories
from bench.methods.cloning import CloningLearner


def best_trajectories(dataset: Trajectories, share: float, share_of: str) -> Trajectories:
    """The best `share` of the trajectories, or the fewest that hold `share` of the transitions; at least one.

    Of equal returns the earlier one comes first.
    """
    order = np.argsort(-dataset.returns, kind="stable")
    if share_of == "trajectories":
        count = max(1, int(share * len(dataset)))
    else:
        held = np.cumsum(dataset.lengths[order])
        count = 1 + int(np.searchsorted(held, round(share * dataset.transitions)))
    return Trajectories.from_episodes([dataset[int(index)] for index in order[:count]])


class Learner(CloningLearner):
    """Regression on the best trajectories; the rest of the dataset is not looked at again."""

    def __init__(self, options: Options) -> None:
        share, share_of = options["best_share"], options["best_share_of"]
        super().__init__(options, lambda dataset: best_trajectories(dataset, share, share_of))
