"""Rollouts of a return-conditioned policy in MuJoCo, all episodes side by side.

The return still wanted starts at `target_return` and falls by each reward, as in the Decision
Transformer's code; on delayed-reward tasks it stays, since no reward is seen before the end.
Initial states depend on the task and the seed alone, not on the method.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.envs.mujoco import MujocoBatch
from bench.spec.seeds import stream

Rows = list[tuple[str, float, float]]
# Returns and lengths (episodes,).
Played = tuple[NDArray[np.float64], NDArray[np.float64]]


def evaluate(learner: Any, options: dict[str, Any], task: str, seed: int, facts: dict[str, Any]) -> Rows:
    """Rows (metric, index, value): mean return at each target, and what the protocol's own target gives.

    `second_target_return` of 0 leaves the second target out. `target_selection=best` reads the
    score at the better target, as several codes do; `first` at the first, whatever comes of it.
    """
    played = _play(learner, options, seed)
    returns, lengths = _chosen(played, options)
    return [
        *(("return_at_target", target, float(earned.mean())) for target, (earned, _) in played.items()),
        ("return", 0.0, float(returns.mean())),
        ("return_deviation", 0.0, float(returns.std(ddof=1)) if len(returns) > 1 else 0.0),
        ("episode_length", 0.0, float(lengths.mean())),
        ("normalised_score", 0.0, float(_normalised(returns.mean(), options))),
    ]


def episode_scores(learner: Any, options: dict[str, Any], seed: int) -> NDArray[np.float64]:
    """(episodes,) normalised score of each of the episodes whose mean `evaluate` calls the score."""
    returns, _ = _chosen(_play(learner, options, seed), options)
    scores: NDArray[np.float64] = _normalised(returns, options)
    return scores


def _play(learner: Any, options: dict[str, Any], seed: int) -> dict[float, Played]:
    """Target return -> returns and lengths of the episodes that were asked for it."""
    targets = [target for target in (options["target_return"], options["second_target_return"]) if target]
    return {float(target): roll_out(learner, options, target, seed) for target in targets}


def _chosen(played: dict[float, Played], options: dict[str, Any]) -> Played:
    """The episodes that the score is read off."""
    if options["target_selection"] == "first":
        return next(iter(played.values()))
    return max(played.values(), key=lambda one: float(one[0].mean()))


def _normalised(returns: Any, options: dict[str, Any]) -> Any:
    low, high = options["reference_low"], options["reference_high"]
    return 100.0 * (returns - low) / (high - low)


@torch.no_grad()
def roll_out(learner: Any, options: dict[str, Any], target: float, seed: int) -> Played:
    """Returns and lengths (episodes,) of one episode in each environment, asked for `target`."""
    count = options["evaluation_episodes"]
    batch = MujocoBatch(options["environment_id"], count)
    # Seeded by the environment's name, so that dense and delayed tasks meet the same starts.
    seeds = stream("eval", "starts", options["environment_id"], seed).integers(2**31, size=count)
    states = batch.reset([int(number) for number in seeds])
    policy = learner.policy(count)
    wanted = np.full(count, target, dtype=np.float32)
    returns, lengths = np.zeros(count), np.zeros(count)
    while batch.alive.any():
        alive = batch.alive
        states, rewards, _, _ = batch.step(policy.act(states, wanted, alive))
        returns += rewards
        lengths += alive
        if not options["delayed_reward"]:
            wanted -= rewards.astype(np.float32)
    batch.close()
    return returns, lengths
