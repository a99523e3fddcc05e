"""Episodes of a policy that is asked for a return, one in each environment, all side by side.

The return still wanted starts at `target_return` and falls by each reward, as in the Decision
Transformer's code. With `delayed_reward` it stays, since no reward is seen before the end.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bench.catalogue.option_types import Options
from bench.datasets.episodes import Episodes
from bench.evaluators.contract import Agent, actions_generator
from bench.methods.base import Observation, Trial
from bench.seeds import stream_seed
from bench.work.record import Facts
from bench.worlds.contract import Test, TestRows, World
from bench.worlds.scores import normalised

Played = tuple[NDArray[np.float64], NDArray[np.float64]]  # returns and lengths (count,)


def evaluate(agent: Agent, test: Test, options: Options, task: str, seed: int, facts: Facts) -> TestRows:
    """Rows (metric, index, value) of the episodes at the target that the score is read at.

    Where the protocol has multiples of a target, a row `return_at_target` for each of them comes before.
    """
    played = play_at_targets(agent, test, options, task, seed, facts)
    returns, lengths = chosen(played, options)
    rows = test.scores(returns, lengths, options)
    if "target_multiples" not in options:
        return rows
    return [
        *(("return_at_target", asked, float(earned.mean())) for asked, (earned, _) in played.items()),
        *rows,
    ]


def episode_scores(
    agent: Agent, test: Test, options: Options, task: str, seed: int, facts: Facts
) -> NDArray[np.float64]:
    """(count,) normalised score of each of the episodes whose mean `evaluate` calls the score."""
    played = play_at_targets(agent, test, options, task, seed, facts)
    return normalised(chosen(played, options)[0], options)


def play_at_targets(
    agent: Agent, test: Test, options: Options, task: str, seed: int, facts: Facts
) -> dict[float, Played]:
    """Target return -> the episodes that were asked for it, in the order of `targets`.

    All of them begin from the same states.
    """
    played: dict[float, Played] = {}
    for target in targets(options):
        world = test.make_world(options, task, seed, facts)
        played[target] = play(world, agent, target, trial_of(world, options, task, seed), options)
    return played


def targets(options: Options) -> list[float]:
    """The returns to ask for: `target_return` times each of `target_multiples`, numbers joined by hyphens."""
    multiples = options.get("target_multiples", "1").split("-")
    return [float(options["target_return"]) * float(multiple) for multiple in multiples]


def chosen(played: dict[float, Played], options: Options) -> Played:
    """The episodes that the score is read off.

    `target_selection=best` reads it at the target of the highest mean, as several codes do; `first` at the
    first, whatever comes of it. The best checkpoint of the best target is the same either way round: the
    protocol's `selection` is applied to what is returned here.
    """
    if options.get("target_selection", "first") == "first":
        return next(iter(played.values()))
    return max(played.values(), key=lambda one: float(one[0].mean()))


def trial_of(world: World, options: Options, task: str, seed: int) -> Trial:
    """How the policy acts: candidates for continuous actions are drawn from a stream that all tests share."""
    if options["discrete_actions"]:
        likeliest = options.get("likeliest", 0)
        return Trial(world.count, actions_generator(task, seed), options["temperature"], likeliest)
    return Trial(world.count, torch.Generator().manual_seed(stream_seed("eval", "candidates")))


@torch.no_grad()
def play(world: World, agent: Agent, target: float, trial: Trial, options: Options) -> Played:
    """Returns and lengths (count,) of one episode in each environment, which are closed at the end.

    A policy gives discrete actions one-hot.
    """
    states = world.reset()
    policy = agent.policy(trial)
    policy.begin(Episodes.none(states))
    wanted = np.full(world.count, target, dtype=np.float32)
    returns, lengths, alive = np.zeros(world.count), np.zeros(world.count), np.ones(world.count, bool)
    while alive.any():
        actions = policy.act(Observation(states, wanted, alive))
        states, rewards, over = world.step(actions.argmax(axis=1) if options["discrete_actions"] else actions)
        policy.observe(rewards.astype(np.float32))
        returns += rewards
        lengths += alive
        alive = ~over
        if not options.get("delayed_reward", False):
            wanted -= rewards.astype(np.float32)
    world.close()
    return returns, lengths
