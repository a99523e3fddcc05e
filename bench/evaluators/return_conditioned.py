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


def evaluate(learner: Any, options: dict[str, Any], task: str, seed: int, facts: dict[str, Any]) -> Rows:
    """Rows (metric, index, value): mean return at each target, and what the protocol's own target gives.

    `second_target_return` of 0 leaves the second target out. `target_selection=best` reads the
    score at the better target, as several codes do; `first` at the first, whatever comes of it.
    """
    targets = [target for target in (options["target_return"], options["second_target_return"]) if target]
    played = [roll_out(learner, options, target, seed) for target in targets]
    means = [float(returns.mean()) for returns, _ in played]
    chosen = int(np.argmax(means)) if options["target_selection"] == "best" else 0
    returns, lengths = played[chosen]
    low, high = options["reference_low"], options["reference_high"]
    return [
        *(("return_at_target", float(target), mean) for target, mean in zip(targets, means, strict=True)),
        ("return", 0.0, means[chosen]),
        ("return_deviation", 0.0, float(returns.std(ddof=1)) if len(returns) > 1 else 0.0),
        ("episode_length", 0.0, float(lengths.mean())),
        ("normalised_score", 0.0, 100.0 * (means[chosen] - low) / (high - low)),
    ]


@torch.no_grad()
def roll_out(
    learner: Any, options: dict[str, Any], target: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
