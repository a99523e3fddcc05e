"""Train and ship the behaviour policies that stand-ins are rolled out from, MuJoCo's and the games'.

`python -m tools.behaviour train hopper --until 819200 --every 51200 --output zoo` trains one run and writes a
snapshot of it after every so many environment steps. `python -m tools.behaviour ship hopper --from zoo
--medium 307200 --expert 665600 --replay medium-replay` puts three of the four qualities of D4RL together
from them: `hopper-medium` and `hopper-expert`, a snapshot each, and `hopper-medium-replay`, a ladder that the
rule of `recipe.py` chooses. It writes where the shipped policies lie; committing what it wrote ships it.

`python -m tools.behaviour game breakout` does both for a game (`game_command.py`).
"""

from __future__ import annotations

import shlex
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.catalogue.load import load_catalogue
from bench.catalogue.values import defaults
from bench.datasets.ladders import written_ladder
from bench.datasets.policies import SHIPPED, BehaviourPolicy, load_snapshots, save_snapshots
from bench.errors import SpecError
from bench.worlds.mujoco.data import episode_returns
from tools.behaviour.game_command import game
from tools.behaviour.ppo import PPOSettings
from tools.behaviour.ppo import train as train_ppo
from tools.behaviour.recipe import TAIL, TAIL_NOISE, replay_ladder

ROBOTS = {"hopper": "Hopper-v5", "halfcheetah": "HalfCheetah-v5", "walker2d": "Walker2d-v5"}
PACKAGES = ("torch", "numpy", "gymnasium", "mujoco")
TRAIN = "python -m tools.behaviour train"
EPISODES = 20
EVALUATION_SEED = 0

app = typer.Typer(no_args_is_help=True, help="Train behaviour policies, and ship them by their quality.")
app.command()(game)
Robot = Annotated[str, typer.Argument(help=f"One of {', '.join(ROBOTS)}.")]


@app.command()
def train(
    robot: Robot,
    until: Annotated[int, typer.Option(min=1, help="Environment steps of the last snapshot.")],
    output: Annotated[Path, typer.Option(help="Folder for the snapshots.")],
    every: Annotated[int, typer.Option(min=1, help="Environment steps between two snapshots.")] = 51_200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the whole training run.")] = 0,
    setting: Annotated[
        list[str] | None, typer.Option(help="A setting of PPO other than its default, as name=value.")
    ] = None,
) -> None:
    """Train one PPO run and write a snapshot after every so many steps, the untrained policy first."""
    env_id = environment_of(robot)
    changed = sorted(setting or [])
    settings = read_settings(changed)
    command = _command("train", robot, every=every, seed=seed, setting=changed)
    for done, policy in train_ppo(env_id, list(range(0, until + 1, every)), seed, settings):
        policy.record.update(describe(policy, done, seed), command=f"{command} --until={done} --output=zoo")
        weights_file = save_snapshots([policy], snapshot_name(robot, done), output, policy.record["command"])
        typer.echo(f"{weights_file}: {_scores(policy)}")


@app.command()
def ship(
    robot: Robot,
    source: Annotated[
        Path, typer.Option("--from", help="Folder that `train` wrote its snapshots to, or shipped policies.")
    ],
    medium: Annotated[
        int | None, typer.Option(min=1, help="Environment steps of the medium snapshot.")
    ] = None,
    expert: Annotated[
        int | None, typer.Option(min=1, help="Environment steps of the expert snapshot.")
    ] = None,
    replay: Annotated[
        str | None, typer.Option(help="Name of a replay ladder of all snapshots there, as medium-replay.")
    ] = None,
    tail: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="Share of the best snapshot in the ladder.")
    ] = TAIL,
    tail_noise: Annotated[
        float, typer.Option(min=0.001, help="Factor on the noise of that snapshot.")
    ] = TAIL_NOISE,
    output: Annotated[
        Path, typer.Option(help="Folder for the .npz and .json files.", show_default="the shipped policies")
    ] = SHIPPED,
) -> None:
    """Ship a run's medium or expert snapshot, or a replay ladder chosen from all by a fixed rule."""
    environment_of(robot)
    named = {"medium": medium, "expert": expert}
    wanted = {quality: steps for quality, steps in named.items() if steps}
    if not wanted and not replay:
        raise SpecError(
            f"ship {robot}: nothing to ship. Name --medium=STEPS, --expert=STEPS, --replay=NAME or several."
        )
    _refuse_absent(robot, source, list(wanted.values()))
    command = _command("ship", robot, **wanted)
    for quality, steps in wanted.items():
        snapshots = load_snapshots(snapshot_name(robot, steps), source)
        typer.echo(save_snapshots(snapshots, f"{robot}-{quality}", output, f"{command} --from=zoo"))
    if replay:
        changed = {} if (tail, tail_noise) == (TAIL, TAIL_NOISE) else {"tail": tail, "tail-noise": tail_noise}
        command = _command("ship", robot, replay=replay, **changed) + " --from=zoo"
        chosen, rungs = replay_ladder(snapshots_in(source, robot), _expert_return(robot), tail, tail_noise)
        name = f"{robot}-{replay}"
        typer.echo(save_snapshots(chosen, name, output, command, written_ladder(rungs)))
        for rung in rungs:
            policy = chosen[rung.snapshot]
            typer.echo(
                f"{rung.share:.4f} at {rung.noise} of the noise: "
                f"{policy.record['environment_steps']} steps, {_scores(policy)}"
            )


def snapshots_in(source: Path, robot: str) -> list[BehaviourPolicy]:
    """All snapshots of a robot in a folder's files, each once, by the steps of their training."""
    found = {
        b"".join(weight.tobytes() for weight in policy.weights): policy
        for file in sorted(source.glob(f"{robot}-*.npz"))
        for policy in load_snapshots(file.stem, source)
    }
    if not found:
        raise SpecError(f"{source} holds no snapshot of {robot}: train a run with `{TRAIN} {robot}`.")
    untrained = [policy for policy in found.values() if policy.record["environment_steps"] == 0]
    if len(untrained) > 1:
        raise SpecError(
            f"{source} holds the untrained snapshots of {len(untrained)} runs of {robot}, and a ladder "
            "begins with one: name by --from a folder without the other runs."
        )
    return sorted(found.values(), key=lambda policy: policy.record["environment_steps"])


def _refuse_absent(robot: str, source: Path, wanted: list[int]) -> None:
    names = (file.stem.rpartition("-")[2] for file in source.glob(f"{robot}-*.npz"))
    trained = sorted(int(name) for name in names if name.isdigit())
    if absent := [steps for steps in wanted if steps not in trained]:
        raise SpecError(
            f"{source} holds no snapshot of {robot} after {', '.join(map(str, absent))} steps, but after "
            f"{', '.join(map(str, trained)) or 'none'}: name some of these, or train a run with "
            f"`{TRAIN} {robot}`."
        )


def _expert_return(robot: str) -> float:
    return float(defaults(load_catalogue(), f"{robot}-medium-replay", None)["reference_high"])


def environment_of(robot: str) -> str:
    """The environment of a robot; raises SpecError for an unknown one."""
    if robot not in ROBOTS:
        raise SpecError(f"There is no robot {robot!r}: name one of {', '.join(ROBOTS)}.")
    return ROBOTS[robot]


def snapshot_name(robot: str, steps: int) -> str:
    """The name of a run's snapshot after so many environment steps."""
    return f"{robot}-{steps:08d}"


def read_settings(changes: list[str]) -> PPOSettings:
    """PPO's settings with `changes`, each `name=value`; raises SpecError for an unknown name or no number."""
    values = asdict(PPOSettings())
    kinds = {name: type(value) for name, value in values.items()}
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
        "env_id": policy.env_id,
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


def _scores(policy: BehaviourPolicy) -> str:
    return ", ".join(
        f"{mode} return {policy.record[mode]['return_mean']} +- {policy.record[mode]['return_std']}"
        for mode in ("deterministic", "stochastic")
    )


def _command(name: str, robot: str, **options: Any) -> str:
    parts = ["python", "-m", "tools.behaviour", name, robot]
    for key, value in options.items():
        parts += [f"--{key}={item}" for item in (value if isinstance(value, list) else [value])]
    return shlex.join(parts)
