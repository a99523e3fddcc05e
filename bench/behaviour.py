"""Train the zoo of behaviour policies: `python -m bench.behaviour hopper --every 102400 --until 1024000`.

One training run gives a ladder of snapshots, `<robot>-<environment steps>`, from the untrained policy to the
last. Run from the repository, the command writes where the shipped policies lie: those that
`policies/zoo.yaml` names are shipped by committing them.
"""

from __future__ import annotations

import shlex
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.datasets.mujoco import episode_returns
from bench.datasets.policies import SHIPPED, BehaviourPolicy
from bench.datasets.ppo import PPOSettings, train
from bench.spec.errors import SpecError, exit_with_message

ROBOTS = {"hopper": "Hopper-v5", "halfcheetah": "HalfCheetah-v5", "walker2d": "Walker2d-v5"}
PACKAGES = ("torch", "numpy", "gymnasium", "mujoco")
EPISODES = 20
EVALUATION_SEED = 0


def main(
    robot: Annotated[str, typer.Argument(help=f"One of {', '.join(ROBOTS)}.")],
    until: Annotated[int, typer.Option(min=1, help="Environment steps of the last snapshot.")],
    every: Annotated[int, typer.Option(min=1, help="Environment steps between two snapshots.")] = 102_400,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the whole training run.")] = 0,
    setting: Annotated[
        list[str] | None, typer.Option(help="A setting of PPO other than its default, as name=value.")
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Folder for the .npz and .json files.", show_default="the shipped policies")
    ] = SHIPPED,
) -> None:
    """Train one PPO run and write a snapshot of it after every so many steps."""
    if robot not in ROBOTS:
        raise SpecError(f"There is no robot {robot!r}: name one of {', '.join(ROBOTS)}.")
    changed = sorted(setting or [])
    settings = read_settings(changed)
    steps = list(range(0, until + 1, every))
    options = [f"--until={until}", f"--every={every}", f"--seed={seed}"]
    options += [f"--setting={change}" for change in changed]
    command = shlex.join(["python", "-m", "bench.behaviour", robot, *options])
    for target, (done, policy) in zip(steps, train(ROBOTS[robot], steps, seed, settings), strict=True):
        policy.record.update(describe(policy, done, seed), command=command)
        weights_file = policy.save(f"{robot}-{target:08d}", output)
        scores = ", ".join(
            f"{mode} return {policy.record[mode]['return_mean']} +- {policy.record[mode]['return_std']}"
            for mode in ("deterministic", "stochastic")
        )
        typer.echo(f"{weights_file}: {done} steps, {scores}")


def read_settings(changes: list[str]) -> PPOSettings:
    """PPO's settings with `changes`, each `name=value`; raises SpecError for one that does not exist or parse."""
    kinds = {field.name: type(field.default) for field in fields(PPOSettings)}
    values = asdict(PPOSettings())
    for change in changes:
        name, _, value = change.partition("=")
        try:
            values[name] = kinds[name](value)
        except (KeyError, ValueError):
            raise SpecError(
                f"--setting {change}: write name=value, a name of {', '.join(kinds)} and a number."
            ) from None
    return PPOSettings(**values)


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
