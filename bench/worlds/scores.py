"""Scores of episodes in continuous worlds, as D4RL normalises them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.worlds.contract import TestRows


def normalised(returns: NDArray[np.float64], options: Options) -> NDArray[np.float64]:
    """Returns (...) on a scale on which `reference_low` is 0 and `reference_high` 100."""
    low, high = options["reference_low"], options["reference_high"]
    return 100.0 * (returns - low) / (high - low)


def return_scores(returns: NDArray[np.float64], lengths: NDArray[np.float64], options: Options) -> TestRows:
    """Mean and deviation of the returns (count,), the mean length (count,), and the normalised score."""
    mean = returns.mean()
    return [
        ("return", 0.0, float(mean)),
        ("return_deviation", 0.0, float(returns.std(ddof=1)) if len(returns) > 1 else 0.0),
        ("episode_length", 0.0, float(lengths.mean())),
        ("normalised_score", 0.0, float(normalised(mean, options))),
    ]
