"""Local MuJoCo datasets: whole episodes of a shipped behaviour policy, kept in Minari's format.

Random streams are derived from (seed, episode number): each episode has one for its initial state, each round
of sixteen, which run side by side, one for the policy's noise. Episodes of one policy are stored in the order
of their numbers, so a longer collection begins with the shorter one's episodes, and long episodes are as
likely to be included as short ones. The same arguments give the same bytes on the same machine; another
processor, or another mujoco or numpy version, may round differently, and a walking robot multiplies such a
difference until the trajectories are other ones (of the same distribution).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.ladders import Rung, load_ladder
from bench.datasets.minari_store import load_minari, save_minari
from bench.datasets.policies import BehaviourPolicy
from bench.datasets.trajectories import Trajectories, Trajectory, delay_rewards
from bench.errors import DatasetError
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
    """Exactly `transitions` transitions of the shipped policy `policy_name`, in the order of its ladder.

    Rungs of whole episodes are collected first and take as many as fit into their share, at least one; the
    other rungs share out what is left. Actions are stored as executed: clipped to the environment's bounds.
    The last episode of each of those other rungs is cut where its count is reached and marked as truncated
    there (unless it ended just then). `stochastic` samples the actions; otherwise they are the policy's means
    and only the initial states differ between episodes.

    Raises DatasetError for an unknown policy, or fewer transitions than its ladder needs, ValueError for a
    negative seed.
    """
    if seed < 0:
        raise ValueError(f"collect({policy_name!r}): seed is {seed}; it must be at least 0.")
    ladder = load_ladder(policy_name)
    batch = MujocoBatch(ladder[0].policy.env_id, ENVIRONMENTS)
    parts: dict[int, list[Trajectory]] = {}
    first = 0  # number of the next episode
    for index, rung in enumerate(ladder):
        if rung.whole_episodes:
            fitting, longest = round(rung.share * transitions), batch.max_episode_steps
            parts[index] = _whole_episodes(rung, fitting, longest, seed, stochastic, first)
            first += len(parts[index])
    taken = sum(len(episode) for part in parts.values() for episode in part)
    for index, count in _counts(policy_name, ladder, transitions - taken).items():
        parts[index] = _collect_from(ladder[index].policy, batch, count, seed, stochastic, first)
        first += len(parts[index])
    batch.close()
    return Trajectories.from_episodes([episode for index in sorted(parts) for episode in parts[index]])


def _counts(policy_name: str, ladder: list[Rung], transitions: int) -> dict[int, int]:
    """How many of `transitions` each rung that may be cut has, by its index."""
    indices = [index for index, rung in enumerate(ladder) if not rung.whole_episodes]
    shares = np.cumsum([0.0, *(ladder[index].share for index in indices)])
    counts = np.diff(np.rint(shares / shares[-1] * transitions).astype(int)).tolist()
    if min(counts) < 1:
        raise DatasetError(
            f"{policy_name}: {max(transitions, 0)} transitions are left for {len(indices)} parts of its "
            "ladder after those of whole episodes, and each needs one. Raise the option transitions."
        )
    return dict(zip(indices, counts, strict=True))


def _whole_episodes(
    rung: Rung, transitions: int, longest: int, seed: int, stochastic: bool, first: int
) -> list[Trajectory]:
    """As many uncut episodes of a rung as fit into `transitions`, and at least one.

    `longest` is the time limit of an episode: no more are played side by side than fit at that length.
    """
    kept: list[Trajectory] = []
    batch = MujocoBatch(rung.policy.env_id, min(ENVIRONMENTS, max(1, transitions // longest)))
    while not kept or transitions > 0:
        for episode in roll_out(rung.policy, batch, seed, first + len(kept), stochastic):
            if kept and len(episode) > transitions:
                batch.close()
                return kept
            kept.append(episode)
            transitions -= len(episode)
    batch.close()
    return kept


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
