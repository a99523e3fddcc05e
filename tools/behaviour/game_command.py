"""`python -m tools.behaviour game NAME`: train a game's policy, or take its script, and ship its ladder."""

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
from bench.datasets.ram_policies import SCRIPTED_PONG, game_policy
from tools.behaviour.game_play import Choose, Game, scores, uniform
from tools.behaviour.game_ppo import Progress, train
from tools.behaviour.game_recipe import (
    RECIPES,
    Evaluation,
    GameRecipe,
    GameRecord,
    ScriptRecord,
    read_recipe,
    rising_shares,
    rising_snapshots,
)

PACKAGES = ("torch", "numpy", "ale-py")
REPORT_EVERY = 16  # updates

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
    """Make a game's policies by its recipe, score them, and write NAME-ladder.

    Of a run of PPO on the game's memory the snapshots ship that the rule of `game_recipe.py` chooses; of a
    script, one player for each share of random actions.
    """
    read = read_recipe(name, recipe)
    command = shlex.join(["python", "-m", "tools.behaviour", "game", name])
    env_id, evaluation = read.game.environment_id, read.evaluation
    random = scored(uniform(Game(env_id).actions), env_id, evaluation)
    typer.echo(f"{name}: random actions score {random['return_mean']} +- {random['return_error']}")
    made = _trained(read, read.game) if isinstance(read.game, GameRecord) else _scripted(read.game)
    for policy in made:
        player = game_policy(policy, evaluation.temperature)
        policy.record.update(
            scored(player.act, env_id, evaluation), random=random, versions=_versions(), command=command
        )
        typer.echo(f"{name}: {score_line(policy)}")
    earned = [policy.record["return_mean"] for policy in made]
    if isinstance(read.game, GameRecord):
        chosen = rising_snapshots(earned, random["return_mean"], read.game.rungs)
        rungs = rising_shares(len(chosen), evaluation.temperature)
    else:
        chosen = list(range(len(made)))
        rungs = rising_shares(len(chosen))
    ladder = written_ladder(rungs)
    typer.echo(save_snapshots([made[index] for index in chosen], f"{name}-ladder", output, command, ladder))


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
    made = f"{record['decisions']} decisions" if "decisions" in record else f"{record['random_share']} random"
    return (
        f"{made}, score {record['return_mean']} +- "
        f"{record['return_error']}, {record['decisions_mean']} decisions a game"
    )


def _versions() -> dict[str, str]:
    return {package: version(package) for package in PACKAGES}


def _trained(recipe: GameRecipe, game: GameRecord) -> list[BehaviourPolicy]:
    snapshots = []
    run = train(game.environment_id, game.decisions, game.snapshots, game.seed, recipe.settings)
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
            }
            snapshots.append(replace(policy, record=record))
    return snapshots


def _scripted(game: ScriptRecord) -> list[BehaviourPolicy]:
    nothing, none = np.empty(0, np.float32), np.empty(0, np.float16)
    return [
        BehaviourPolicy(
            game.environment_id, nothing, nothing, (), (), none,
            {"env_id": game.environment_id, "kind": SCRIPTED_PONG, "random_share": share},
        )
        for share in game.random_shares
    ]  # fmt: skip


def _progress_line(progress: Progress) -> str:
    return (
        f"{progress.decisions} decisions, {progress.seconds:.0f} s, {progress.finished} games, "
        f"the latest score {progress.latest_score:.2f}"
    )
