"""Rollouts of a return-conditioned policy in MuJoCo, all episodes side by side.

The return still wanted starts at `target_return` and falls by each reward, as in the Decision
Transformer's code; on delayed-reward tasks it stays, since no reward is seen before the end.
Initial states depend on the task and the seed alone, not on the method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.episodes import Episodes
from bench.envs.batch import EpisodeBatch
from bench.envs.mujoco import MujocoBatch
from bench.evaluators.episodes import Agent, Rows
from bench.methods.base import Observation, Trial
from bench.seeds import stream, stream_seed
from bench.work.record import Facts

Played = tuple[NDArray[np.float64], NDArray[np.float64]]  # returns and lengths (episodes,)


def evaluate(agent: Agent, options: Options, task: str, seed: int, facts: Facts) -> Rows:
    """Rows (metric, index, value): mean return at each target, and what the protocol's own target gives."""
    return scores(options, lambda target: roll_out(agent, options, target, seed))


def scores(options: Options, play_at: Callable[[float], Played]) -> Rows:
    """Rows of the episodes that `play_at` gives for each target.

    `second_target_return` of 0 leaves the second target out. `target_selection=best` reads the
    score at the better target, as several codes do; `first` at the first, whatever comes of it.
    """
    played = _at_targets(options, play_at)
    returns, lengths = _chosen(played, options)
    return [
        *(("return_at_target", target, float(earned.mean())) for target, (earned, _) in played.items()),
        ("return", 0.0, float(returns.mean())),
        ("return_deviation", 0.0, float(returns.std(ddof=1)) if len(returns) > 1 else 0.0),
        ("episode_length", 0.0, float(lengths.mean())),
        ("normalised_score", 0.0, float(_normalised(returns.mean(), options))),
    ]


def episode_scores(agent: Agent, options: Options, seed: int) -> NDArray[np.float64]:
    """(episodes,) normalised score of each of the episodes whose mean `evaluate` calls the score."""
    played = _at_targets(options, lambda target: roll_out(agent, options, target, seed))
    normalised: NDArray[np.float64] = _normalised(_chosen(played, options)[0], options)
    return normalised


def _at_targets(options: Options, play_at: Callable[[float], Played]) -> dict[float, Played]:
    """Target return -> returns and lengths of the episodes that were asked for it."""
    targets = [target for target in (options["target_return"], options["second_target_return"]) if target]
    return {float(target): play_at(target) for target in targets}


def _chosen(played: dict[float, Played], options: Options) -> Played:
    """The episodes that the score is read off."""
    if options["target_selection"] == "first":
        return next(iter(played.values()))
    return max(played.values(), key=lambda one: float(one[0].mean()))


def _normalised(returns: Any, options: Options) -> Any:
    low, high = options["reference_low"], options["reference_high"]
    return 100.0 * (returns - low) / (high - low)


def roll_out(agent: Agent, options: Options, target: float, seed: int) -> Played:
    """Returns and lengths (episodes,) of one episode in each environment, asked for `target`."""
    batch = MujocoBatch(options["environment_id"], options["evaluation_episodes"])
    return play(agent, batch, target, seed, subtract_rewards=not options["delayed_reward"])


@torch.no_grad()
def play(agent: Agent, batch: EpisodeBatch, target: float, seed: int, subtract_rewards: bool) -> Played:
    """The same in the environments of `batch`, which are closed at the end.

    With `subtract_rewards` the return still wanted falls by each reward.
    """
    # Seeded by the environment's name, so that dense and delayed tasks meet the same starts.
    seeds = stream("eval", "starts", batch.env_id, seed).integers(2**31, size=batch.count)
    states = batch.reset([int(number) for number in seeds])
    generator = torch.Generator().manual_seed(stream_seed("eval", "candidates"))
    policy = agent.policy(Trial(batch.count, generator))
    policy.begin(Episodes.none(states))
    wanted = np.full(batch.count, target, dtype=np.float32)
    returns, lengths = np.zeros(batch.count), np.zeros(batch.count)
    while batch.alive.any():
        alive = batch.alive
        states, rewards, _, _ = batch.step(policy.act(Observation(states, wanted, alive)))
        policy.observe(rewards.astype(np.float32))
        returns += rewards
        lengths += alive
        if subtract_rewards:
            wanted -= rewards.astype(np.float32)
    batch.close()
    return returns, lengths
