"""`python -m tools.behaviour game NAME`: train a game's policy and ship the ladder of its snapshots."""

from __future__ import annotations

import shlex
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bench.datasets.ladders import written_ladder
from bench.datasets.policies import SHIPPED, BehaviourPolicy, save_snapshots
from bench.datasets.ram_policies import SCRIPTED_PONG, RamPolicy, ScriptedPong
from tools.behaviour.game_play import Choose, Game, scores, uniform
from tools.behaviour.game_ppo import Progress, train
from tools.behaviour.game_recipe import (
    RECIPES,
    Evaluation,
    GameRecipe,
    read_recipe,
    rising_ladder,
    rising_shares,
)

PACKAGES = ("torch", "numpy", "ale-py")
REPORT_EVERY = 16  # updates
SCRIPTED_SHARES = (0.6, 0.3, 0.1)  # of random actions, the poorest player first

Output = Annotated[
    Path, typer.Option(help="Folder for the .npz and .json files.", show_default="the shipped policies")
]


def game(
    name: Annotated[str, typer.Argument(help="A game of the recipe.")],
    output: Output = SHIPPED,
    recipe: Annotated[
        Path, typer.Option(help="File of recipes.", show_default="bench/datasets/policies/games.yaml")
    ] = RECIPES,
) -> None:
    """Train PPO on a game's memory by its recipe, score the snapshots, and write NAME-ladder."""
    read = read_recipe(name, recipe)
    command = shlex.join(["python", "-m", "tools.behaviour", "game", name])
    snapshots = _trained(read, command)
    random = scored(
        uniform(Game(read.game.environment_id).actions), read.game.environment_id, read.evaluation
    )
    typer.echo(f"{name}: random actions score {random['return_mean']} +- {random['return_error']}")
    for policy in snapshots:
        choose = RamPolicy(policy, read.evaluation.temperature).act
        policy.record.update(scored(choose, policy.env_id, read.evaluation), random=random)
        typer.echo(f"{name}: {score_line(policy)}")
    chosen, rungs = rising_ladder(
        [policy.record["return_mean"] for policy in snapshots],
        random["return_mean"],
        read.game.rungs,
        read.evaluation.temperature,
    )
    kept = [snapshots[index] for index in chosen]
    typer.echo(save_snapshots(kept, f"{name}-ladder", output, command, written_ladder(rungs)))


def scripted_pong(output: Output = SHIPPED) -> None:
    """Write pong-scripted: the paddle follows the ball, with three shares of random actions."""
    recipe = read_recipe("pong")
    command = "python -m tools.behaviour scripted-pong"
    env_id = recipe.game.environment_id
    random = scored(uniform(ScriptedPong.ACTIONS), env_id, recipe.evaluation)
    snapshots = []
    for share in SCRIPTED_SHARES:
        record = {"env_id": env_id, "kind": SCRIPTED_PONG, "random_share": share, "versions": versions()}
        measured = scored(ScriptedPong(share, record).act, env_id, recipe.evaluation)
        snapshots.append(_without_network(env_id, record | measured | {"random": random, "command": command}))
        typer.echo(f"pong: share {share}, {score_line(snapshots[-1])}")
    rungs = rising_shares(len(snapshots), temperature=1.0)
    typer.echo(save_snapshots(snapshots, "pong-scripted", output, command, written_ladder(rungs)))


def scored(choose: Choose, env_id: str, evaluation: Evaluation) -> dict[str, Any]:
    """What a record says of a score: how it was taken, its mean, the standard error, the mean length."""
    earned, lengths = scores(choose, env_id, evaluation.episodes, evaluation.seed, evaluation.most_decisions)
    error = earned.std(ddof=1) / np.sqrt(len(earned))
    return {
        "evaluation": evaluation.model_dump(),
        "return_mean": round(float(earned.mean()), 2),
        "return_error": round(float(error), 2),
        "return_largest": float(earned.max()),
        "decisions_mean": round(float(lengths.mean()), 1),
    }


def score_line(policy: BehaviourPolicy) -> str:
    """A snapshot's score in one line."""
    record = policy.record
    return (
        f"{record.get('decisions', 0)} decisions of training, score {record['return_mean']} +- "
        f"{record['return_error']}, {record['decisions_mean']} decisions a game"
    )


def versions() -> dict[str, str]:
    """Versions of the packages that a policy and its score depend on."""
    return {package: version(package) for package in PACKAGES}


def _trained(recipe: GameRecipe, command: str) -> list[BehaviourPolicy]:
    game, snapshots = recipe.game, []
    run = train(game.environment_id, game.decisions, recipe.snapshots, game.seed, recipe.settings)
    for update, (progress, policy) in enumerate(run, 1):
        if update % REPORT_EVERY == 0:
            typer.echo(_progress_line(progress))
        if policy is not None:
            record = {
                "env_id": game.environment_id,
                "algorithm": "PPO",
                "decisions": progress.decisions,
                "training_decisions": game.decisions,
                "training_seed": game.seed,
                "training_seconds": round(progress.seconds, 1),
                "versions": versions(),
                "command": command,
            }
            snapshots.append(replace(policy, record=record))
    return snapshots


def _progress_line(progress: Progress) -> str:
    return (
        f"{progress.decisions} decisions, {progress.seconds:.0f} s, {progress.finished} games, "
        f"the latest score {progress.latest_score:.2f}"
    )


def _without_network(env_id: str, record: dict[str, Any]) -> BehaviourPolicy:
    nothing = np.empty(0, np.float32)
    return BehaviourPolicy(env_id, nothing, nothing, (), (), np.empty(0, np.float16), record)
