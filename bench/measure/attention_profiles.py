"""Hidden attention by the distance in tokens: how it falls, and on what it falls.

Shapes: N steps that are examined, T tokens that a decision reads, by their distance from the token that the
action is read off: d = 0 is that token itself.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.methods.token_layout import STATE


class Decay(NamedTuple):
    """An exponential through weights: half-life in tokens (NaN if they do not fall), and its R squared."""

    half_life: float
    fit: float


def fit_exponential(weights: NDArray[Any]) -> Decay:
    """Fit w(d) = w(0) 2^(-d / half_life) to the mean magnitudes (T,) at distances d = 0 ... T - 1.

    Least squares of log w on d, every distance counting alike, over all distances whose weight is above 0
    (NaN marks one that was never seen). R squared is the explained share of the variance of log w. Both are
    NaN for fewer than three such distances; R squared also for weights that are all equal.
    """
    distance = np.flatnonzero(np.nan_to_num(weights) > 0)
    if len(distance) < 3:
        return Decay(math.nan, math.nan)
    logarithm = np.log(weights[distance].astype(np.float64))
    centred, spread = distance - distance.mean(), logarithm - logarithm.mean()
    slope = float(centred @ spread / (centred @ centred))
    variance = float(spread @ spread)
    fit = 1 - float(((spread - slope * centred) ** 2).sum()) / variance if variance > 0 else math.nan
    return Decay(-math.log(2) / slope if slope < 0 else math.nan, fit)


class Shares(NamedTuple):
    """Shares of the weight that fall on tokens of each kind: of all steps, and of those before this one."""

    all_steps: dict[str, float]
    earlier_steps: dict[str, float]


def shares(weights: NDArray[Any], kinds: tuple[str, ...], present: int) -> Shares:
    """Where the weights (N, T) fall, NaN where there was no token; all of it sums to 1.

    `kinds` are those of the tokens at the distances 0 ... len(kinds) - 1, and recur. The nearest `present`
    tokens are those of the step that is decided at.
    """
    total = np.nansum(weights, axis=0, dtype=np.float64)
    total /= total.sum()
    kind_at = np.array(kinds)[np.arange(len(total)) % len(kinds)]
    earlier = np.arange(len(total)) >= present
    return Shares(
        {kind: float(total[kind_at == kind].sum()) for kind in kinds},
        {kind: float(total[earlier & (kind_at == kind)].sum()) for kind in kinds},
    )


def power_over_exponential(weights: NDArray[Any], kinds: tuple[str, ...], present: int) -> float:
    """How much better an exponential describes the decay over steps than a power law does.

    Of the mean weights (T,) on states, or on merged tokens, of the steps before the one decided at: both laws
    are fitted to every other step by least squares of log w, on the distance in steps or on its logarithm.
    The result is the power law's mean squared error on the steps left out over the exponential's; above 1 the
    exponential is the better. NaN for fewer than eight such steps, or where both fit exactly.
    """
    of_states = np.array(kinds)[np.arange(len(weights)) % len(kinds)] == STATE if len(kinds) > 1 else True
    earlier = np.arange(len(weights)) >= present
    own = np.nan_to_num(weights[earlier & of_states])
    steps = 1.0 + np.flatnonzero(own > 0)
    if len(steps) < 8:
        return math.nan
    logarithm = np.log(own[own > 0].astype(np.float64))
    errors = [_held_out_error(distance, logarithm) for distance in (np.log(steps), steps)]
    return errors[0] / errors[1] if errors[1] > 0 else math.nan


def _held_out_error(distance: NDArray[Any], logarithm: NDArray[Any]) -> float:
    """Mean squared error on every other point of the line that is fitted to the rest."""
    slope, intercept = np.polyfit(distance[::2], logarithm[::2], 1)
    return float(np.mean((logarithm[1::2] - slope * distance[1::2] - intercept) ** 2))


def share_within(weights: NDArray[Any], kinds: tuple[str, ...], present: int, steps: int) -> float:
    """Share of the mean weights (T,) on the step decided at and those before it, `steps` in all."""
    nearest = present + (steps - 1) * len(kinds)
    return float(np.nansum(weights[:nearest]) / np.nansum(weights))
