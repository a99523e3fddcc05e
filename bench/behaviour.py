"""Train behaviour policies: `python -m bench.behaviour hopper-medium --steps 307200 --seed 0`.

One training run gives one policy or a ladder of them, each a snapshot after so many environment steps:
`python -m bench.behaviour hopper-low hopper-high --steps 100000 --steps 500000`. Run from the repository, the
command writes where the shipped policies lie, so that a policy is shipped by committing what it wrote.
"""

from __future__ import annotations

import shlex
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.datasets.mujoco import episode_returns
from bench.datasets.policies import SHIPPED, BehaviourPolicy
from bench.datasets.ppo import train
from bench.spec.errors import SpecError, exit_with_message

ENVIRONMENTS = {"hopper": "Hopper-v5", "halfcheetah": "HalfCheetah-v5", "walker2d": "Walker2d-v5"}
PACKAGES = ("torch", "numpy", "gymnasium", "mujoco")
EPISODES = 20
EVALUATION_SEED = 0


def main(
    names: Annotated[list[str], typer.Argument(help="Names of the snapshots, each <task>-<quality>.")],
    steps: Annotated[
        list[int], typer.Option(help="Environment steps of each snapshot, in the order of NAMES.")
    ],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the whole training run.")] = 0,
    output: Annotated[
        Path, typer.Option(help="Folder for the .npz and .json files.", show_default="the shipped policies")
    ] = SHIPPED,
) -> None:
    """Train one PPO run and write a snapshot of it under each of NAMES."""
    env_id = check_ladder(names, steps)
    command = shlex.join(
        [
            "python",
            "-m",
            "bench.behaviour",
            *names,
            *(f"--steps={count}" for count in steps),
            f"--seed={seed}",
        ]
    )
    for name, (done, policy) in zip(names, train(env_id, steps, seed), strict=True):
        policy.record.update(describe(policy, done, seed), command=command)
        weights_file = policy.save(name, output)
        scores = ", ".join(
            f"{mode} return {policy.record[mode]['return_mean']} +- {policy.record[mode]['return_std']}"
            for mode in ("deterministic", "stochastic")
        )
        typer.echo(f"{name}: {done} steps, {scores}, {weights_file}")


def check_ladder(names: list[str], steps: list[int]) -> str:
    """The environment id that all `names` share.

    Raises SpecError when names and steps do not pair up, a task is unknown or they are not all of one task,
    or the steps do not rise.
    """
    if len(names) != len(steps) or len(set(names)) != len(names):
        raise SpecError(
            f"{len(names)} names ({', '.join(names)}) and {len(steps)} times --steps: name each snapshot "
            "once and give --steps once for each, in the same order."
        )
    tasks = {name.partition("-")[0] for name in names}
    unknown = sorted(tasks - ENVIRONMENTS.keys())
    if unknown or len(tasks) > 1:
        raise SpecError(
            f"The names {', '.join(names)} must begin with one and the same task, one of "
            f"{', '.join(ENVIRONMENTS)}. Run the command once for each task."
        )
    if any(later <= earlier for earlier, later in pairwise([0, *steps])):
        raise SpecError(f"The steps {steps} must be positive and rise from snapshot to snapshot.")
    return ENVIRONMENTS[tasks.pop()]


def describe(policy: BehaviourPolicy, steps: int, seed: int) -> dict[str, Any]:
    """The record of a snapshot: how it was made and what it scores over 20 episodes, in both modes."""
    record: dict[str, Any] = {
        "algorithm": "PPO",
        "environment_steps": steps,
        "training_seed": seed,
        "versions": {package: version(package) for package in PACKAGES},
        "evaluation": {"episodes": EPISODES, "seed": EVALUATION_SEED},
    }
    for mode in ("deterministic", "stochastic"):
        returns = episode_returns(policy, EPISODES, EVALUATION_SEED, stochastic=mode == "stochastic")
        record[mode] = {
            "return_mean": round(float(returns.mean()), 2),
            "return_std": round(float(returns.std(ddof=1)), 2),
        }
    return record


if __name__ == "__main__":
    exit_with_message(lambda: typer.run(main))()
