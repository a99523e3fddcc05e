"""Local MuJoCo datasets: whole episodes of a shipped behaviour policy, kept in Minari's format.

Random streams are derived from (seed, episode number): each episode has one for its initial state, each round
of sixteen, which run side by side, one for the policy's noise. Episodes are stored in the order of their
numbers, so a longer collection begins with the shorter one's episodes, and long episodes are as likely to be
included as short ones. The same arguments give the same bytes on the same machine; another processor, or
another mujoco or numpy version, may round differently, and a walking robot multiplies such a difference until
the trajectories are other ones (of the same distribution).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.minari_store import load_minari, save_minari
from bench.datasets.policies import BehaviourPolicy, load_ladder
from bench.datasets.trajectories import Trajectories, Trajectory, delay_rewards
from bench.seeds import stream_seed
from bench.work.record import Facts
from bench.worlds.mujoco.world import MujocoBatch

DATASET_ID = "local/behaviour-v0"
ENVIRONMENTS = 16
INITIAL_STATE, NOISE = 0, 1  # the purposes of the random streams


def make(options: Options, task: str, folder: Path) -> Facts:
    """Roll out the task's behaviour policy, or half and half of two, into a Minari dataset below `folder`.

    Returns facts for the sidecar. The stream of random numbers is the policy's, so that a delayed-reward
    task holds the same trajectories as its dense twin.
    """
    names = [options["behaviour_policy"]]
    if options["second_policy"] != "none":
        names.append(options["second_policy"])
    episodes: list[Trajectory] = []
    for name in names:
        share = options["transitions"] // len(names)
        episodes += collect(name, share, stream_seed("data", "behaviour", name), options["stochastic"])
    trajectories = Trajectories.from_episodes(episodes)
    returns = trajectories.returns
    if options["delayed_reward"]:
        trajectories = delay_rewards(trajectories)
    described = f"stand-in for {task}: episodes of {' and '.join(names)}"
    save_minari(trajectories, folder, DATASET_ID, options["environment_id"], described)
    return {
        "transitions": int(trajectories.transitions),
        "trajectories": len(trajectories),
        "mean_return": float(returns.mean()),
        "standard_deviation_of_return": float(returns.std()),
        "largest_return": float(returns.max()),
        "content_sha256": trajectories.digest(),
    }


def load(folder: Path) -> Trajectories:
    """The dataset written by `make`."""
    return load_minari(folder, DATASET_ID)


def collect(policy_name: str, transitions: int, seed: int, stochastic: bool) -> Trajectories:
    """Exactly `transitions` transitions of the shipped policy `policy_name`, in whole episodes.

    A ladder of snapshots shares them out evenly, the earliest first, as the replay buffer of its training
    would hold them. Actions are stored as executed: clipped to the environment's bounds. Each snapshot's last
    episode is cut where its count is reached and marked as truncated there (unless it ended just then).
    `stochastic` samples the actions; otherwise they are the policy's means and only the initial states
    differ between episodes.

    Raises DatasetError for an unknown policy, ValueError for fewer transitions than snapshots or a negative
    seed.
    """
    ladder = load_ladder(policy_name)
    if transitions < len(ladder) or seed < 0:
        raise ValueError(
            f"collect({policy_name!r}): transitions is {transitions} and seed is {seed}; "
            f"they must be at least {len(ladder)} and 0."
        )
    bounds = [transitions * index // len(ladder) for index in range(len(ladder) + 1)]
    batch = MujocoBatch(ladder[0].env_id, ENVIRONMENTS)
    episodes: list[Trajectory] = []
    for policy, (start, end) in zip(ladder, pairwise(bounds), strict=True):
        episodes += _collect_from(policy, batch, end - start, seed, stochastic, len(episodes))
    batch.close()
    return Trajectories.from_episodes(episodes)


def _collect_from(
    policy: BehaviourPolicy, batch: MujocoBatch, transitions: int, seed: int, stochastic: bool, first: int
) -> list[Trajectory]:
    episodes: list[Trajectory] = []
    missing = transitions
    while missing > 0:
        round_of_episodes = roll_out(policy, batch, seed, first + len(episodes), stochastic)
        episodes += round_of_episodes
        missing -= sum(len(episode) for episode in round_of_episodes)
    return _cut(episodes, transitions)


def episode_returns(
    policy: BehaviourPolicy, episodes: int, seed: int, stochastic: bool
) -> NDArray[np.float64]:
    """Undiscounted returns (episodes,) of `policy`, played side by side in one round."""
    batch = MujocoBatch(policy.env_id, episodes)
    played = roll_out(policy, batch, seed, 0, stochastic)
    batch.close()
    return np.array([episode.rewards.sum(dtype=np.float64) for episode in played])


def roll_out(
    policy: BehaviourPolicy, batch: MujocoBatch, seed: int, first: int, stochastic: bool
) -> list[Trajectory]:
    """One whole episode in each environment of `batch`: episodes `first` and following of the run `seed`."""
    numbers = range(first, first + batch.count)
    now = batch.reset([int(_stream(seed, number, INITIAL_STATE).generate_state(1)[0]) for number in numbers])
    noise = np.random.default_rng(_stream(seed, first, NOISE)) if stochastic else None
    observations, actions, rewards = [now], [], []
    lengths, terminated = np.zeros(batch.count, np.int64), np.zeros(batch.count, bool)
    while batch.alive.any():
        lengths += batch.alive
        actions.append(batch.clip(policy.act(now, noise)))
        now, reward, ended, _ = batch.step(actions[-1])
        observations.append(now)
        rewards.append(reward)
        terminated |= ended
    seen, done, earned = np.stack(observations), np.stack(actions), np.stack(rewards)
    return [
        Trajectory.whole(
            seen[: steps + 1, index], done[:steps, index], earned[:steps, index], bool(terminated[index])
        )
        for index, steps in enumerate(lengths)
    ]


def _stream(seed: int, number: int, purpose: int) -> np.random.SeedSequence:
    return np.random.SeedSequence((seed, number, purpose))


def _cut(episodes: list[Trajectory], transitions: int) -> list[Trajectory]:
    kept: list[Trajectory] = []
    for episode in episodes:
        if len(episode) >= transitions:
            return [*kept, episode.cut(transitions)]
        kept.append(episode)
        transitions -= len(episode)
    return kept
