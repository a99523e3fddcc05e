"""Online testing without updates: consecutive episodes of an agent that reads its own past ones.

All environments begin an episode together; one whose episode is over waits for the others. What one of them
meets, its task, starts and sampling noise, depends on the task and the seed alone, not on the method.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.arrays import Numbers, States
from bench.datasets.episodes import Episodes
from bench.evaluators.contract import Agent, actions_generator
from bench.methods.base import Observation, Policy, Trial
from bench.work.record import Facts
from bench.worlds.contract import KnowsOptimum, Test, TestRows, World

# The last episodes of a test, whose mean share of the optimum is what was learnt in context.
LATE_EPISODES = 5


def evaluate(agent: Agent, test: Test, options: Options, task: str, seed: int, facts: Facts) -> TestRows:
    """Rows (metric, index, value): the mean return of each episode, and what is read off the scored one.

    Where a test knows its optimum, the shares of it follow (`optimum_rows`).
    """
    world = test.make_world(options, task, seed, facts)
    trial = Trial(world.count, actions_generator(task, seed), options.get("temperature", 0.0))
    played = play(world, agent.policy(trial), options["episodes"] if test.CONSECUTIVE else 1)
    shares = optimum_rows(played, test, world) if isinstance(test, KnowsOptimum) else []
    world.close()
    returns = played.returns.astype(np.float64)
    lengths = played.lengths.astype(np.float64)
    score = test.scores(*scored(returns, lengths, options.get("scored_episode", "last")), options)
    if not test.CONSECUTIVE:
        return score
    curve = [
        ("episode_return", number + 1.0, float(mean)) for number, mean in enumerate(returns.mean(axis=0))
    ]
    return [*curve, *score, *shares]


Scores = NDArray[np.float64]


def optimum_rows(played: Episodes, test: KnowsOptimum, world: World) -> TestRows:
    """Each episode's return over the largest possible from where it began, averaged over environments.

    Of these shares: one a test episode, the first, the mean of the last `LATE_EPISODES` (of all but the first
    where there are no more), and the gain from the first to those. An environment whose task can pay nothing
    from where an episode began is left out of that episode; no rows if none is left.
    """
    starts = played.states[:, :, 0]
    best = np.stack([test.optimal_returns(world, cells) for cells in np.moveaxis(starts, 1, 0)], axis=1)
    paying = best > 0
    if not paying.any(axis=0).all():
        return []
    shares = np.divide(played.returns, best, out=np.zeros_like(best), where=paying)
    means = shares.sum(axis=0) / paying.sum(axis=0)
    late = float(means[1:][-LATE_EPISODES:].mean())
    return [
        *(("optimum_share", number + 1.0, float(mean)) for number, mean in enumerate(means)),
        ("first_optimum_share", 0.0, float(means[0])),
        ("late_optimum_share", 0.0, late),
        ("in_context_gain", 0.0, late - float(means[0])),
    ]


def scored(returns: Scores, lengths: Scores, episode: str) -> tuple[Scores, Scores]:
    """Returns and lengths (count,) that are the score, of those of all episodes (count, E).

    `episode` is the last one of each environment, the one of its largest return, or the mean of all.
    """
    if episode == "mean":
        return returns.mean(axis=1), lengths.mean(axis=1)
    rows = np.arange(len(returns))
    chosen = returns.argmax(axis=1) if episode == "largest" else np.full(len(returns), -1)
    return returns[rows, chosen], lengths[rows, chosen]


@torch.no_grad()
def play(world: World, policy: Policy, episodes: int) -> Episodes:
    """The last of `episodes` episodes of each environment, with all before it: (count, episodes, ...)."""
    past: list[Episodes] = []
    for _ in range(episodes):
        seen = world.reset()
        policy.begin(_joined(past, seen))
        past.append(_episode(world, policy, seen))
    return _joined(past, seen)


def _episode(world: World, policy: Policy, seen: States) -> Episodes:
    """One episode of each environment, (count, 1, ...), from the states `seen` (count, S) it begins with."""
    states, actions, rewards = [seen], [], []
    over, lengths = np.zeros(world.count, bool), np.zeros(world.count, np.int64)
    none_wanted = np.zeros(world.count, np.float32)
    while not over.all():
        lengths += ~over
        actions.append(policy.act(Observation(states[-1], none_wanted, ~over)))
        following, reward, ended = world.step(actions[-1])
        over = over | ended
        policy.observe(reward.astype(np.float32))
        states.append(following)
        rewards.append(reward.astype(np.float32))
    met, done, earned = (np.stack(values, axis=1)[:, None] for values in (states, actions, rewards))
    return Episodes(met, done, earned, lengths[:, None])


def _joined(past: list[Episodes], seen: States) -> Episodes:
    """Episodes (count, 1, ...) side by side, padded to the longest; (count, 0, ...) of none."""
    if not past:
        return Episodes.none(seen)
    longest = max(episode.rewards.shape[2] for episode in past)

    def padded(values: Numbers, steps: int) -> Numbers:
        width = [(0, 0)] * values.ndim
        width[2] = (0, steps - values.shape[2])
        return np.pad(values, width)

    return Episodes(
        np.concatenate([padded(episode.states, longest + 1) for episode in past], axis=1),
        np.concatenate([padded(episode.actions, longest) for episode in past], axis=1),
        np.concatenate([padded(episode.rewards, longest) for episode in past], axis=1),
        np.concatenate([episode.lengths for episode in past], axis=1),
    )
