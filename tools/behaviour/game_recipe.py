"""How a game's policies are made, read from `bench/datasets/policies/games.yaml`, and which snapshots ship.

The rule of the ladder: the best snapshot by its measured score is the last rung. Levels lie evenly from the
score of random actions to the best. Of the snapshots before the best in the run, each other rung takes the
one whose score is nearest to its level. One that does not score more than the rung before it is left out.
Shares of a dataset's decisions go up as 1, 2, 3: the best player has most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from bench.catalogue.strict import Strict
from bench.datasets.ladders import RungRecord
from bench.datasets.policies import SHIPPED
from bench.errors import SpecError, unknown
from tools.behaviour.ppo import PPOSettings

RECIPES = SHIPPED / "games.yaml"
DIGITS = 4


class Evaluation(Strict):
    """How a snapshot is scored: games, their seed, the softmax's temperature, the longest game."""

    episodes: int = Field(ge=2)
    seed: int = Field(ge=0)
    temperature: float = Field(gt=0.0)
    most_decisions: int = Field(ge=1)


class GameRecord(Strict):
    """One game's training run as its file has it."""

    environment_id: str
    decisions: int = Field(ge=1)
    seed: int = Field(ge=0)
    snapshots: list[float] = Field(min_length=1)
    rungs: int = Field(ge=2)


class ScriptRecord(Strict):
    """A game that a script plays: the shares of random actions, the poorest player first."""

    environment_id: str
    random_shares: list[float] = Field(min_length=1)


class RecipeFile(Strict):
    """The file: what all games have in common, and each game's own."""

    settings: dict[str, int | float]
    evaluation: Evaluation
    games: dict[str, GameRecord]
    scripted: dict[str, ScriptRecord]


@dataclass(frozen=True)
class GameRecipe:
    """All that the policies of one game depend on; a scripted one has no use for the settings."""

    game: GameRecord | ScriptRecord
    settings: PPOSettings
    evaluation: Evaluation


def read_recipe(name: str, file: Path = RECIPES) -> GameRecipe:
    """The recipe of a game; raises SpecError for an unknown one or a file that does not hold together."""
    try:
        written = RecipeFile.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        settings = PPOSettings(**written.settings)  # type: ignore[arg-type]
    except (ValidationError, TypeError, yaml.YAMLError) as error:
        raise SpecError(f"{file}: {error}. Correct the file, or restore it from git.") from None
    games = written.games | written.scripted
    if name not in games:
        raise unknown("game", name, games, str(file), every=True)
    return GameRecipe(games[name], settings, written.evaluation)


def rising_snapshots(scores: Sequence[float], random: float, rungs: int) -> list[int]:
    """Which of the snapshots ship, `rungs` at most: their numbers in the order of training.

    `scores` are theirs and `random` that of random actions; a run that learnt nothing ships its best alone.
    """
    best = max(range(len(scores)), key=scores.__getitem__)
    levels = [random + (scores[best] - random) * rung / (rungs - 1) for rung in range(rungs - 1)]
    nearest = {min(range(best), key=lambda index: abs(scores[index] - level)) for level in levels if best > 0}
    chosen: list[int] = []
    for index in sorted(nearest):
        if scores[index] < scores[best] and (not chosen or scores[index] > scores[chosen[-1]]):
            chosen.append(index)
    return [*chosen, best]


def rising_shares(rungs: int, temperature: float = 1.0) -> list[RungRecord]:
    """So many rungs, one for each snapshot, with shares as 1, 2, 3, rounded so that they add up to 1."""
    shares = [round(rung / sum(range(rungs + 1)), DIGITS) for rung in range(1, rungs)]
    shares.append(round(1 - sum(shares), DIGITS))
    return [RungRecord(snapshot=index, share=share, noise=temperature) for index, share in enumerate(shares)]
